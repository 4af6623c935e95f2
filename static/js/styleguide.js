// The style guide's one live piece: a line that moves on a press.

import { drawLine } from "./line.js";

const figure = document.querySelector("#moving-line [data-line]");
const line = { waiting: 240, position: 47, likely: 20 };

document.getElementById("move-line").addEventListener("click", () => {
  line.waiting -= 3;
  line.position = Math.max(1, line.position - 3);
  drawLine(figure, line);
});
