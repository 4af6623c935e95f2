"""The races of the queue: two who decide about the same thing at the same moment.

Each is run in two ways. With threads whose order is arranged (`actors.py`), so that every order is seen at the first try; and as a
storm of real processes (`test_storms.py`, `../processes.py`) in whatever orders come. In both, a control takes the guard away
(`conftest.py`) and has to show the fault: in a storm within fifty tries. After every race the invariants are asked.

race                          arranged in                                     guard
last seat                     test_seats                                      tournament's row FOR UPDATE
double join in two tabs       test_two_tabs                                   ON CONFLICT DO NOTHING
join against close            test_join_and_end, test_draws (sealing)         tournament's row FOR KEY SHARE
admitter against joins        test_join_and_admitter                          both of these locks
leave against offer           test_seats                                      the state, looked at again by the UPDATE
take-up against lapse         test_end_of_an_offer, payments/test_races       the deadline, looked at again by the UPDATE
confirm against lapse         test_end_of_an_offer, payments/test_races       the same; the payment's row FOR UPDATE
capacity cut against offers   test_seats                                      tournament's row FOR UPDATE
old admin tab against pause   test_admin (two who save)                       row FOR UPDATE; only changed fields are written
two clocks                    test_clocks                                     heartbeat's row FOR UPDATE
two beats                     payments/test_races (sweeps), test_draws        rows taken with SKIP LOCKED; one sealer at a time
two publishers                test_publishers                                 advisory lock from reading to publishing

What happens to a process that dies in the middle of these is asked in `../faults/test_crashes.py`, at every step of it.
"""
