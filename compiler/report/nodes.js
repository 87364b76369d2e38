// Rows that are put in the list at once; the next ones follow when it is scrolled to its end.
const NODES_AT_ONCE = 150;

const nodeList = document.getElementById("node-list");
const nodeCount = document.getElementById("node-count");
const nodeSearch = document.getElementById("find");
const wanted = { unit: "", reason: -1, text: "" };
let shownNodes = [];
let drawnNodes = 0;

function piece(tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

function because([, , index, detail]) {
  const [, reason] = data.reasons[index];
  return detail ? `${reason}: ${detail}` : reason;
}

function nodeRow(entry) {
  const [name, operator, index, , matrix] = entry;
  const [unit, , remedy] = data.reasons[index];
  const row = piece("div", "node", "");
  if (matrix) row.dataset.matrix = matrix;
  const told = piece("span", "", because(entry));
  if (remedy) told.append(piece("em", "remedy", remedy));
  row.append(piece("b", `unit ${unit}`, unit), piece("span", "operator", operator));
  row.append(piece("span", "called", name || "without a name"), told);
  return row;
}

function matches(entry) {
  const [name, operator, index] = entry;
  if (wanted.unit && data.reasons[index][0] !== wanted.unit) return false;
  if (wanted.reason >= 0 && index !== wanted.reason) return false;
  return !wanted.text || `${name}\n${operator}\n${because(entry)}`.toLowerCase().includes(wanted.text);
}

function drawMore() {
  nodeList.append(...shownNodes.slice(drawnNodes, drawnNodes + NODES_AT_ONCE).map(nodeRow));
  drawnNodes = Math.min(shownNodes.length, drawnNodes + NODES_AT_ONCE);
}

function drawNodes() {
  shownNodes = data.nodes.filter(matches);
  drawnNodes = 0;
  nodeList.replaceChildren();
  nodeList.scrollTop = 0;
  nodeCount.textContent = `${shownNodes.length.toLocaleString("en")} of ${data.nodes.length.toLocaleString("en")} nodes, in the order of the file`;
  drawMore();
}

function press(buttons, pressed) {
  for (const button of document.querySelectorAll(buttons)) button.setAttribute("aria-pressed", String(button === pressed));
}

function chooseUnit(button) {
  Object.assign(wanted, { unit: button.dataset.unit, reason: -1 });
  press(".units button", button);
  press(".reason", null);
  drawNodes();
}

function chooseReason(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  Object.assign(wanted, { unit: "", reason: on ? Number(button.dataset.reason) : -1 });
  press(".reason", on ? button : null);
  press(".units button", document.querySelector('.units button[data-unit=""]'));
  drawNodes();
  if (on) nodeList.scrollIntoView({ block: "nearest" });
}

nodeList.addEventListener("scroll", () => {
  if (drawnNodes < shownNodes.length && nodeList.scrollTop + nodeList.clientHeight > nodeList.scrollHeight - 600) drawMore();
});
nodeSearch.addEventListener("input", () => {
  wanted.text = nodeSearch.value.trim().toLowerCase();
  drawNodes();
});
for (const button of document.querySelectorAll(".units button")) button.addEventListener("click", () => chooseUnit(button));
for (const button of document.querySelectorAll(".reason")) button.addEventListener("click", () => chooseReason(button));
drawNodes();
