"""Settings, one file. What differs between machines is read from the environment, with its type, at the top."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
import pghistory
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from vgchub.admin_look import UNFOLD  # noqa: F401  a setting of that name

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

# --- The environment -----------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="only-for-debugging" if DEBUG else environ.Env.NOTSET)
DATABASE_URL = env.db_url("DATABASE_URL")
REDIS_URL = env.str("REDIS_URL")

# Under bin/run: mails are kept and shown at /local/mailbox/, the style guide at /styleguide/.
LOCAL_MODE = env.bool("LOCAL_MODE", default=False)
# Which process this is (web, live, clock, worker, beat); it decides how many connections are kept.
PROCESS = env.str("PROCESS", default="web")
# Connections to the database of a web process: one for each thread at work (vgchub/threads.py).
WEB_POOL = env.int("WEB_POOL", default=8)
# A PgBouncer older than 1.21, or one with max_prepared_statements = 0, can't keep prepared statements: say 0 then.
DATABASE_PREPARES = env.bool("DATABASE_PREPARES", default=True)

SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
# Where the live process answers; empty means the site's own host under /live/.
LIVE_URL = env.str("LIVE_URL", default="").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])
# How many proxies of ours append to X-Forwarded-For; 0 trusts the connection's own address only.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
HTTPS = env.bool("HTTPS", default=SITE_URL.startswith("https://"))

STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")  # empty: Stripe itself; bin/run: the simulator
STRIPE_CHECKOUT_ORIGIN = env.str("STRIPE_CHECKOUT_ORIGIN", default=STRIPE_API_BASE or "https://checkout.stripe.com")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
# How many calls the whole site makes to one endpoint of Stripe within a second, for one account (payments/gateway/budget.py).
STRIPE_CALLS_PER_SECOND = env.int("STRIPE_CALLS_PER_SECOND", default=20)

# Who may read /metrics: `Authorization: Bearer ...`. Without a token there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# Who is asked for a round of drand, one after the other: relays of different owners, none of which has to be trusted.
DRAND_RELAYS = env.list(
    "DRAND_RELAYS",
    default=[
        "https://api.drand.sh",
        "https://drand.cloudflare.com",
        "https://api2.drand.sh",
        "https://api3.drand.sh",
    ],
)
# Another chain than quicknet: what its relays answer at /{chain-hash}/info, as JSON.
DRAND_CHAIN = env.json("DRAND_CHAIN", default={})
# Where draws get their chance from, unless a tournament says otherwise: DRAND needs the network, COMMIT_REVEAL does not.
DRAW_ENTROPY = env.str("DRAW_ENTROPY", default="COMMIT_REVEAL" if LOCAL_MODE else "DRAND")

# --- Django --------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "csp",
    "django_htmx",
    "django_linear_migrations",
    "djstripe",
    "import_export",
    "pgtrigger",
    "pghistory",
    "post_office",
    "accounts",
    "tournaments",
    "registrations",
    "lottery",
    "payments",
    "reports",
    "vgchub",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vgchub.shared_pages.SharedPagesMiddleware",
    "vgchub.responses.RefusalMiddleware",
    "csp.middleware.CSPMiddleware",
    "vgchub.pages_only.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "vgchub.pages_only.AuthenticationMiddleware",
    "vgchub.pages_only.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "vgchub.pages_only.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
]

ROOT_URLCONF = "vgchub.urls"
WSGI_APPLICATION = "vgchub.wsgi.application"
ASGI_APPLICATION = "vgchub.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "vgchub.pages.site",
            ],
        },
    },
]

# Pooled where threads share a process (measured: 241 to 1606 requests/s); a lone process keeps one connection.
_pool_sizes = {"web": WEB_POOL, "live": 4}
DATABASES = {
    "default": {
        **DATABASE_URL,
        "ENGINE": "vgchub.postgresql",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0 if PROCESS in _pool_sizes else 60,
        "CONN_HEALTH_CHECKS": PROCESS not in _pool_sizes,  # what a pool keeps is looked at by our engine
        "DISABLE_SERVER_SIDE_CURSORS": True,  # PgBouncer in transaction mode has none
        "OPTIONS": {
            "connect_timeout": 5,
            "prepare_threshold": 5 if DATABASE_PREPARES else None,  # only of cursors that bind at the server: ours
            **(
                {"pool": {"min_size": 1, "max_size": _pool_sizes[PROCESS], "timeout": 10, "max_idle": 30}}
                if PROCESS in _pool_sizes
                else {}
            ),
        },
    },
}

CACHES = {
    "default": {
        "BACKEND": "vgchub.cache.SiteCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "vgchub",
        # Redis makes the site faster; without it the site goes on, from the database.
        "OPTIONS": {
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
            "REDIS_CLIENT_CLASS": "vgchub.outage.WatchedRedis",
        },
    },
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
# How often public pages and parts are made anew (vgchub/shelf.py); 0 makes them for each request.
SHELF_SECONDS = env.float("SHELF_SECONDS", default=1.0)

# Redis has databases, but its channels are one for all of them: two sites on one server must not hear each other.
CHANNEL_PREFIX = f"vgchub-{urlsplit(REDIS_URL).path.strip('/') or 0}"

# --- Celery --------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    # A worker waits for jobs without a time-out: so often it looks whether Redis, which answers each second, still does.
    "health_check_interval": 5,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "lottery.tasks.*": {"queue": "draws"},
    "payments.tasks.*": {"queue": "payments"},
    # A cancelled tournament has thousands of them: workers take all else first. In Redis the smallest number is first.
    "payments.tasks.carry_out_refund": {"queue": "payments", "priority": 6},
    "registrations.tasks.*": {"queue": "mail"},
    "vgchub.tasks.*": {"queue": "mail"},
}
CELERY_DB_REUSE_MAX = 1000
# Sweeps: each finds in the database what a lost wake-up left. One that comes late is dropped, and the next does its work:
# nothing piles up while the workers are away.
CELERY_BEAT_SCHEDULE = {
    "send_notices": {"task": "registrations.tasks.send_notices", "schedule": 10, "options": {"expires": 10}},
    "close_registrations": {
        "task": "registrations.tasks.close_registrations",
        "schedule": 15,
        "options": {"expires": 15},
    },
    "watch_invariants": {"task": "reports.tasks.watch_invariants", "schedule": 300, "options": {"expires": 60}},
    "seal_history": {"task": "reports.tasks.seal_history", "schedule": 10, "options": {"expires": 10}},
    "look_for_draws": {"task": "lottery.tasks.look", "schedule": 2, "options": {"expires": 2}},
    "sweep_payments": {"task": "payments.tasks.sweep", "schedule": 3, "options": {"expires": 3}},
    "charge_due_cards": {"task": "payments.tasks.charge_due_cards", "schedule": 3, "options": {"expires": 3}},
    "sweep_cards": {"task": "payments.tasks.sweep_cards", "schedule": 5, "options": {"expires": 5}},
    "forget_deliveries": {
        "task": "payments.tasks.forget_deliveries",
        "schedule": crontab(hour="4", minute="17"),
        "options": {"expires": 3600},
    },
    "reconcile_recent": {
        "task": "payments.tasks.reconcile_recent",
        "schedule": 300,
        "options": {"expires": 240},
    },
    "reconcile_nightly": {
        "task": "payments.tasks.reconcile_nightly",
        "schedule": crontab(hour="3", minute="23"),
        "options": {"expires": 3600},
    },
    "look_for_fraud": {"task": "payments.tasks.look_for_fraud", "schedule": 300, "options": {"expires": 240}},
    "sweep_paid_seats": {"task": "payments.tasks.sweep_seats", "schedule": 60, "options": {"expires": 60}},
    "send_mail": {
        "task": "vgchub.tasks.send_mail",
        "schedule": 30,
        "options": {"expires": 30},
    },  # what is to be tried again
    "bury_failed_mails": {"task": "payments.tasks.bury_failed_mails", "schedule": 60, "options": {"expires": 60}},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Accounts ------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Joining a queue never waits for a mail; a seat is offered only to a verified address.
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.signin_forms.LoginForm",
    "signup": "accounts.signin_forms.SignupForm",
    "request_login_code": "accounts.signin_forms.RequestLoginCodeForm",
    "confirm_login_code": "accounts.signin_forms.ConfirmLoginCodeForm",
    "reset_password": "accounts.signin_forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.signin_forms.ResetPasswordKeyForm",
    "change_password": "accounts.signin_forms.ChangePasswordForm",
    "set_password": "accounts.signin_forms.SetPasswordForm",
}
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 15 * 60  # mail takes its time
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
# A venue or a school signs in from one address, so the limits per address are wide and those per account narrow. What an
# account's limits count is account and address together (accounts.adapter, accounts.signin_forms): nobody locks somebody else out.
ACCOUNT_RATE_LIMITS = {
    "login": "600/m/ip",
    "login_failed": "300/m/ip,10/5m/key",
    "signup": "300/m/ip",
    "request_login_code": "300/m/ip",
    "confirm_email": "3/5m/key",
    "reset_password": "100/m/ip",
    "reset_password_from_key": "100/m/ip",
}

SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"  # a flushed cache signs nobody out
SESSION_COOKIE_AGE = 90 * 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# --- Safety --------------------------------------------------------------------------------------------------

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "connect-src": [SELF, *([LIVE_URL] if LIVE_URL else [])],
        "img-src": [SELF, "data:"],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # A browser follows the redirect of a form only to places named here: Stripe's hosted page.
        "form-action": [SELF, STRIPE_CHECKOUT_ORIGIN],
    },
}

# --- API -----------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "vgchub.responses.api_exception_handler",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=30),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "UPDATE_LAST_LOGIN": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "VGC Hub API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Languages, times, files ---------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["vgchub.formats"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "vgchub.static_files.HashedStaticFiles",
    },
}

# --- History -------------------------------------------------------------------------------------------------

# The context (who, why) stands in the event's own row: one row tells all, and can be hashed alone.
PGHISTORY_CONTEXT_FIELD = pghistory.ContextJSONField()
PGHISTORY_CONTEXT_ID_FIELD = pghistory.ContextUUIDField()
# Events are looked up by the row that they tell of. An index for each of a row's foreign keys would cost every join more than
# the event itself.
PGHISTORY_FOREIGN_KEY_FIELD = pghistory.ForeignKey(db_index=False)
PGHISTORY_OBJ_FIELD = pghistory.ObjForeignKey(db_index=True)
PGHISTORY_APPEND_ONLY = True
PGHISTORY_MIDDLEWARE_METHODS = ("POST", "PUT", "PATCH", "DELETE")

# --- Admin (how it looks: vgchub.admin_look) -----------------------------------------------------------------

IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
IMPORT_EXPORT_SKIP_ADMIN_LOG = True

# --- Mail ----------------------------------------------------------------------------------------------------

EMAIL_BACKEND = "post_office.EmailBackend"
_mail = env.email_url("EMAIL_URL", default="consolemail://")
POST_OFFICE = {
    # Under bin/run nothing leaves the machine: the mailbox page shows the queue's own rows.
    "BACKENDS": {"default": "django.core.mail.backends.dummy.EmailBackend" if LOCAL_MODE else _mail["EMAIL_BACKEND"]},
    "DEFAULT_PRIORITY": "medium",
    "MAX_RETRIES": 30,  # an hour without the mail server; then the mail is a dead letter
    "RETRY_INTERVAL": timedelta(minutes=2),
    "BATCH_SIZE": 100,
}
EMAIL_HOST = _mail["EMAIL_HOST"]
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="VGC Hub <seats@vgchub.example>")

# --- Stripe --------------------------------------------------------------------------------------------------

STRIPE_LIVE_MODE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY if STRIPE_LIVE_MODE else ""
STRIPE_TEST_SECRET_KEY = "" if STRIPE_LIVE_MODE else STRIPE_SECRET_KEY
if STRIPE_API_BASE:
    STRIPE_API_HOST = STRIPE_API_BASE
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
# dj-stripe checks the signature and keeps what came; what it means is asked of Stripe later, outside of its transaction.
DJSTRIPE_WEBHOOK_EVENT_CALLBACK = "payments.webhook.receive"
# That Stripe is somewhere else, as under bin/run, is meant.
SILENCED_SYSTEM_CHECKS = ["djstripe.W002"] if STRIPE_API_BASE else []
MIGRATION_MODULES = {"djstripe": "vgchub.djstripe_migrations"}  # its own, squashed: 1 s instead of 40

# --- Logging -------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "vgchub.masking.MaskingFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},  # a refusal is an answer, and thousands come too early
        "gunicorn.error": {"handlers": ["console"], "propagate": False},  # else it has handlers of its own
    },
}
