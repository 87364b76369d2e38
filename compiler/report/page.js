const tip = document.getElementById("tip");
const main = document.querySelector("main");
let pinned = null;

function words(count) {
  return Math.round(count).toLocaleString("en");
}

function describeBlock(block, tile) {
  const layer = layersOf.get(block.matrix);
  const lines = [block.layer, `tile ${tile.x}, ${tile.y} of chip ${tile.chip}`];
  const whole = layer ? ` of ${layer.rows} × ${layer.columns}` : "";
  lines.push(`${block.rows} × ${block.columns}${whole}`);
  lines.push(`rows from ${block.row_start}, columns from ${block.column_start}`);
  if (block.row_offset || block.column_offset) lines.push(`at row ${block.row_offset}, column ${block.column_offset} of the tile`);
  if (layer && layer.replicas > 1) lines.push(`copy ${block.replica + 1} of ${layer.replicas}`);
  lines.push(describeUse(tile));
  return lines.join("\n");
}

function describeUse(tile) {
  const blocks = tile.blocks.length === 1 ? "" : ` in ${tile.blocks.length} blocks`;
  return `${(100 * tile.utilisation).toFixed(1)} % of the tile’s cells hold a weight${blocks}`;
}

function describeLink(link) {
  const place = (site) => `${site.x}, ${site.y}`;
  return `${words(link.words)} words\nfrom tile ${place(link.source)} to tile ${place(link.target)}`;
}

function describe(target) {
  const tile = target.closest(".tile");
  const seat = target.closest(".seat");
  if (seat) return describeBlock(seat.block, tile.tile);
  if (tile) return `tile ${tile.tile.x}, ${tile.tile.y} of chip ${tile.tile.chip}\n${describeUse(tile.tile)}`;
  if (target.link) return describeLink(target.link);
  const marked = target.closest("[data-tip]");
  return marked ? marked.dataset.tip : "";
}

function showTip(event) {
  const text = event.target instanceof Element ? describe(event.target) : "";
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 18;
  const y = below + tip.offsetHeight > innerHeight - 8 ? event.clientY - tip.offsetHeight - 12 : below;
  tip.style.left = `${Math.max(8, x)}px`;
  tip.style.top = `${Math.max(8, y)}px`;
}

function light(matrix) {
  main.classList.toggle("focus", matrix !== null);
  for (const element of main.querySelectorAll("[data-matrix]")) {
    element.classList.toggle("lit", matrix !== null && element.dataset.matrix === matrix);
  }
}

function matrixAt(target) {
  const element = target instanceof Element && target.closest("[data-matrix]");
  return element ? element.dataset.matrix : null;
}

let lit = null;
function follow(event) {
  const matrix = matrixAt(event.target) ?? pinned;
  if (matrix !== lit) light((lit = matrix));
}

function pin(event) {
  const row = event.target.closest("#layers tbody tr");
  if (!row) return;
  const on = !row.classList.contains("pinned");
  for (const other of document.querySelectorAll("tr.pinned")) other.classList.remove("pinned");
  row.classList.toggle("pinned", on);
  light((lit = pinned = on ? row.dataset.matrix : null));
}

function sortBy(heading) {
  const column = heading.cellIndex;
  const up = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.sort;
  const numeric = column !== 1;
  const order = (a, b) => (numeric ? value(a) - value(b) : value(a).localeCompare(value(b), "en", { numeric: true }));
  const body = document.querySelector("#layers tbody");
  body.append(...[...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))));
}

function toggleChip(card) {
  const open = card.getAttribute("aria-expanded") === "true";
  card.setAttribute("aria-expanded", String(!open));
  if (open) {
    card.nextElementSibling.remove();
    return;
  }
  const floor = document.createElement("div");
  floor.className = "floor";
  card.after(floor);
  floor.append(drawChip(Number(card.dataset.chip), floor.clientWidth));
  light(lit);
}

document.addEventListener("pointermove", showTip);
document.addEventListener("pointerover", follow);
document.addEventListener("focusin", follow);
document.addEventListener("click", pin);
document.addEventListener("keydown", (event) => event.key === "Enter" && pin(event));
document.documentElement.addEventListener("pointerleave", () => (tip.hidden = true));
for (const floor of document.querySelectorAll(".floor")) {
  floor.append(drawChip(Number(floor.dataset.chip), floor.clientWidth));
}
for (const heading of document.querySelectorAll("#layers th")) heading.addEventListener("click", () => sortBy(heading));
for (const card of document.querySelectorAll(".card")) card.addEventListener("click", () => toggleChip(card));
const chosen = location.hash && document.querySelector(`.card[data-chip="${parseInt(location.hash.slice(6), 10)}"]`);
if (chosen) toggleChip(chosen);
const switchLinks = document.getElementById("links");
if (switchLinks) switchLinks.addEventListener("change", () => main.classList.toggle("quiet", !switchLinks.checked));
document.body.setAttribute("data-ready", "yes");
