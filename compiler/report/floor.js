"use strict";
window.addEventListener("error", (event) => document.body.setAttribute("data-error", event.message));

const data = JSON.parse(document.getElementById("data").textContent);

// Lengths in a floor plan: a site is PITCH wide, the tile on it SIDE, the rest is room for the links.
const PITCH = 10;
const SIDE = 7.9;
const EDGE = 0.7;
const FINEST = 0.16;
const LABEL = 2.5;
const SMALLEST_LABEL_PX = 7.5;
const HUES = 10;
const PATTERNS = 4;

const layersOf = new Map();
data.layers.forEach((layer, index) => {
  if (!layersOf.has(layer.matrix)) layersOf.set(layer.matrix, { number: index + 1, ...layer });
});
const tilesOf = gather(data.tiles, (tile) => tile.chip);
const linksOf = gather(
  data.links.filter((link) => link.source.chip === link.target.chip),
  (link) => link.source.chip,
);
const mostWords = data.links.reduce(
  (most, link) => (link.source.chip === link.target.chip ? Math.max(most, link.words) : most), 0);

function gather(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return groups;
}

function node(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function look(layer) {
  return layer ? `c${layer.colour % HUES} p${Math.floor(layer.colour / HUES) % PATTERNS}` : "digital";
}

function corner(site) {
  return { x: site.x * PITCH + (PITCH - SIDE) / 2, y: site.y * PITCH + (PITCH - SIDE) / 2 };
}

function drawChip(chip, width) {
  const { width: across, height: down } = data.grid;
  const tiles = tilesOf.get(chip) || [];
  const smallest = (SMALLEST_LABEL_PX * across * PITCH) / width;
  const box = [-EDGE, -EDGE, across * PITCH + 2 * EDGE, down * PITCH + 2 * EDGE];
  const shape = { class: "package", x: box[0], y: box[1], width: box[2], height: box[3], rx: 1.6 };
  return node(
    "svg",
    { viewBox: box.join(" "), role: "img", "aria-label": `chip ${chip}: ${tiles.length} tiles hold weights` },
    node("rect", shape),
    drawFree(tiles, across, down),
    drawDead(chip),
    ...tiles.map((tile) => drawTile(tile, smallest)),
    node("g", { class: "wedges" }, ...(linksOf.get(chip) || []).map(drawLink)),
  );
}

function drawFree(tiles, across, down) {
  const taken = new Set(tiles.map((tile) => tile.y * across + tile.x));
  let path = "";
  for (let place = 0; place < across * down; place += 1) {
    if (taken.has(place)) continue;
    const at = corner({ x: place % across, y: Math.floor(place / across) });
    path += `M${at.x.toFixed(2)} ${at.y.toFixed(2)}h${SIDE}v${SIDE}h${-SIDE}z`;
  }
  return node("path", { class: "free", d: path });
}

// Sites that the fault map calls dead are crossed out.
function drawDead(chip) {
  let path = "";
  for (const site of (data.faults || { dead_sites: [] }).dead_sites) {
    if (site.chip !== chip) continue;
    const at = corner(site);
    path += `M${at.x.toFixed(2)} ${at.y.toFixed(2)}l${SIDE} ${SIDE}m${-SIDE} 0l${SIDE} ${-SIDE}`;
  }
  return node("path", { class: "dead", d: path });
}

function drawTile(tile, smallest) {
  const at = corner(tile);
  const cells = node("rect", { class: "cells", x: at.x, y: at.y, width: SIDE, height: SIDE, rx: 0.35 });
  const group = node("g", { class: "tile" }, cells);
  group.tile = tile;
  for (const block of tile.blocks) group.append(drawBlock(block, at, tile, smallest));
  return group;
}

function drawBlock(block, at, tile, smallest) {
  const { rows, columns } = tile;
  const alone = tile.blocks.length === 1;
  const layer = layersOf.get(block.matrix);
  const area = {
    x: at.x + (block.column_offset / columns) * SIDE,
    y: at.y + (block.row_offset / rows) * SIDE,
    width: Math.max(0.12, (block.columns / columns) * SIDE),
    height: Math.max(0.12, (block.rows / rows) * SIDE),
  };
  const grouped = layer && layer.groups > 1;
  const seat = node("g", { class: `seat ${look(layer)}`, "data-matrix": block.matrix });
  seat.block = block;
  seat.append(node("rect", { class: grouped ? "block edge sparse" : "block edge", ...area, rx: 0.3 }));
  if (grouped) seat.append(node("path", { class: "block", d: drawGroups(block, layer, area) }));
  if (layer && Math.floor(layer.colour / HUES) % PATTERNS) seat.append(node("rect", { class: "hatch", ...area, rx: 0.3 }));
  if (layer) seat.append(...drawLabel(layer.number, area, smallest, alone ? at : null, grouped));
  return seat;
}

// The cells on the diagonal of a grouped matrix: one rectangle a group.
function drawGroups(block, layer, area) {
  const height = layer.rows / layer.groups;
  const width = layer.columns / layer.groups;
  const place = (start, end, from, length, size) => {
    const low = Math.max(start, from);
    const high = Math.min(end, from + length);
    return low < high ? [((low - from) / length) * size, ((high - low) / length) * size] : null;
  };
  let path = "";
  const last = Math.ceil((block.row_start + block.rows) / height);
  for (let group = Math.floor(block.row_start / height); group < last; group += 1) {
    const down = place(group * height, (group + 1) * height, block.row_start, block.rows, area.height);
    const across = place(group * width, (group + 1) * width, block.column_start, block.columns, area.width);
    if (!down || !across) continue;
    const [right, under] = [Math.max(across[1], FINEST).toFixed(3), Math.max(down[1], FINEST).toFixed(3)];
    path += `M${(area.x + across[0]).toFixed(3)} ${(area.y + down[0]).toFixed(3)}h${right}v${under}h-${right}z`;
  }
  return path;
}

// A layer's number: in its block as large as fits, or in the middle of the tile that the block has for itself.
function drawLabel(number, area, smallest, tile, grouped) {
  const digits = String(number).length;
  const size = Math.min(LABEL, (area.width - 0.4) / (0.62 * digits), area.height - 0.3);
  const fits = size >= Math.max(smallest, 1);
  if (!fits && (!tile || LABEL < smallest)) return [];
  const middle = fits
    ? { x: area.x + area.width / 2, y: area.y + area.height / 2 }
    : { x: tile.x + SIDE / 2, y: tile.y + SIDE / 2 };
  const name = fits && !grouped ? "label" : "label beside";
  const label = node("text", { class: name, ...middle, "font-size": (fits ? size : LABEL).toFixed(2) });
  label.textContent = number;
  return [label];
}

function drawLink(link) {
  const dx = link.target.x - link.source.x;
  const dy = link.target.y - link.source.y;
  const mark = Math.abs(dx) + Math.abs(dy) === 1 ? drawWedge(link, dx, dy) : drawFarLink(link);
  mark.link = link;
  return mark;
}

// A wedge in the gap between neighbours points to the target and keeps to its right, so that both ways are seen.
function drawWedge(link, dx, dy) {
  const from = corner(link.source);
  const reach = SIDE / 2 + 0.2;
  const length = PITCH - SIDE - 0.4;
  const half = 0.35 + 1.15 * Math.sqrt(link.words / mostWords);
  const x = from.x + SIDE / 2 + dx * reach - dy * 1.7;
  const y = from.y + SIDE / 2 + dy * reach + dx * 1.7;
  const heat = Math.min(4, Math.floor((5 * link.words) / mostWords));
  const points = [[x - dy * half, y + dx * half], [x + dy * half, y - dx * half], [x + dx * length, y + dy * length]];
  return node("polygon", { class: `wedge heat${heat}`, points: points.map((p) => p.map((v) => v.toFixed(2)).join(",")).join(" ") });
}

function drawFarLink(link) {
  const [from, to] = [corner(link.source), corner(link.target)];
  const [x1, y1, x2, y2] = [from.x, from.y, to.x, to.y].map((v) => v + SIDE / 2);
  const bend = `${(x1 + x2) / 2 - (y2 - y1) / 6} ${(y1 + y2) / 2 + (x2 - x1) / 6}`;
  const weight = 0.15 + 0.9 * Math.sqrt(link.words / mostWords);
  return node("path", { class: "far", d: `M${x1} ${y1}Q${bend} ${x2} ${y2}`, "stroke-width": weight.toFixed(2) });
}
