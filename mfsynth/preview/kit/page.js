"use strict";
const by = (id) => document.getElementById(id);
const page = JSON.parse(by("data").textContent);
const { scenes = [], pictures, measures = [], legend = [], slides = 0 } = page;
const maps = [page.overlay, ...(page.others ?? [])];

/** An element with properties and children; strings become text, never markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
const hashOf = (...names) => `#scene/${names.map(encodeURIComponent).join("/")}`;
const pretty = (value) => JSON.stringify(value, null, 1);

// --- head ---

document.title = `${page.title} – ${page.kind}`;
for (const id of ["title", "subtitle", "footer"]) by(id).textContent = page[id] ?? "";
if (page.command) Object.assign(by("command"), { textContent: page.command, hidden: false });
if (page.problems) {
  const [first, ...rest] = page.problems;
  by("problems").hidden = false;
  by("problems").append(first, make("ul", {}, ...rest.map((textContent) => make("li", { textContent }))));
}
if (page.made_from) {
  by("made").hidden = false;
  by("madeText").textContent = page.made_from[0];
  by("madeJson").textContent = pretty(page.made_from[1]);
}

// --- sections ---

for (const section of page.sections) {
  const element = make("section", { id: section.id }, make("h2", { textContent: section.title }), make("p", { textContent: section.note ?? "" }));
  if (section.id === "pictures") element.append(by("pictureParts").content);
  element.append(...(section.tables ?? []).flatMap(tablesOf), ...(section.figures ?? []).map(figureOf));
  by("main").append(element);
  by("nav").firstChild.append(make("li", {}, make("a", { href: `#${section.id}`, textContent: section.title })));
}
by("nav").hidden = page.sections.length < 2;

function figureOf({ uri, caption }) {
  return make("figure", {}, make("img", { src: uri, alt: caption, loading: "lazy" }), make("figcaption", { textContent: caption }));
}
/** A table with a choice above it, where there are several in its place, and heads that sort, where it says so. */
function tablesOf({ label, tables, sorts }) {
  const head = make("thead"), body = make("tbody"), note = make("span", { className: "quiet" });
  const choice = make("select", {}, ...tables.map(({ name }, value) => make("option", { value, textContent: name })));
  const bar = make("div", { className: "row" }, make("label", { className: "group" }, `${label} `, choice), note);
  const box = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: label }, make("table", {}, head, body));
  let column = -1, down = false;
  const sort = (place) => {
    down = column === place && !down;
    column = place;
    draw();
    head.querySelectorAll("button")[place].focus();
  };
  const draw = () => {
    const table = tables[Number(choice.value)];
    note.textContent = table.note ?? "";
    head.replaceChildren(row(table.head, "col"));
    body.replaceChildren(...sorted(table.rows, column, down).map((cells) => row(cells, "row")), ...(table.feet ?? []).map((cells) => row(cells, "row", "foot")));
    if (!sorts) return;
    for (const [place, cell] of [...head.firstChild.children].entries()) {
      const button = make("button", { textContent: cell.textContent + (place === column ? (down ? " ▾" : " ▴") : "") });
      button.addEventListener("click", () => sort(place));
      cell.replaceChildren(button);
      if (place === column) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    }
  };
  choice.addEventListener("change", draw);
  draw();
  return tables.length > 1 || tables[0].note ? [bar, box] : [box];
}
function row(cells, scope, className = "") {
  return make("tr", { className }, ...cells.map((cell, place) => cellOf(cell, scope === "col" || !place ? scope : "")));
}
function cellOf({ text, more, below = [], style = "", scene, title = "" }, scope) {
  const element = make(scope ? "th" : "td", { className: style, title: title || (scope ? text : "") });
  if (scope) element.scope = scope;
  element.append(scene ? make("a", { href: hashOf(scene), textContent: text }) : text);
  if (more) element.append(make("span", { className: "quiet", textContent: ` ${more}` }));
  element.append(...below.map((textContent) => make("small", { textContent })));
  return element;
}
/** Rows by the numbers of a column, those without one last; the first column keeps the order. */
function sorted(rows, column, down) {
  const number = (cells) => ({ inf: Infinity, "–": NaN })[cells[column].text] ?? Number(cells[column].text);
  if (column <= 0) return column < 0 || !down ? rows : rows.toReversed();
  return rows.toSorted((one, other) => {
    const [a, b] = [number(one), number(other)];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a === b ? 0 : (a < b) === down ? 1 : -1;
  });
}

// --- viewer: what is shown ---

const state = { scene: -1, view: 0, second: 0, peek: -1, map: -1, error: false, both: false, zoom: 4, x: 0.5, y: 0.5, pinned: false };
let images = new Map(), panes = [], tiles = [], mapButtons = [];
const scene = () => scenes[state.scene];
const shownView = () => state.peek >= 0 ? state.peek : state.view;
const shownPlaces = () => state.both ? [shownView(), state.second] : [shownView()];
/** The picture of a view's map; undefined where it has none, or none is on. */
const mapOf = (view, map = state.map) => map <= 0 ? (map < 0 ? undefined : view.overlay) : view.others?.[map - 1];

/** A picture of the page, drawn again when it has loaded; those of other scenes are let go. */
function image(place) {
  if (!images.has(place)) {
    const element = new Image();
    element.addEventListener("load", later);
    element.src = pictures[place];
    images.set(place, element);
  }
  return images.get(place);
}
function show(index, names = []) {
  const kept = scene()?.views[state.view]?.name, other = scene()?.views[state.second]?.name, changed = index !== state.scene;
  Object.assign(state, { scene: index, peek: -1 });
  const { views, shown = 0 } = scene();
  const find = (name, otherwise) => {
    const place = views.findIndex((view) => view.name === name);
    return place >= 0 ? place : otherwise;
  };
  state.view = find(names[0] ?? kept, shown);
  state.second = find(names[1] ?? other, state.view === 0 ? Math.max(shown, 1) : 0);
  state.both ||= names[1] !== undefined;
  if (changed) build();
  refresh();
}
function build() {
  images = new Map();
  const strip = by("strip");
  for (const [k, link] of [...strip.querySelectorAll("a")].entries()) {
    if (k !== state.scene) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "true");
      strip.scrollLeft = link.offsetLeft - strip.offsetLeft - (strip.clientWidth - link.clientWidth) / 2;
    }
  }
  const { views, json } = scene();
  by("second").replaceChildren(...views.map((view, value) => make("option", { value, textContent: view.name })));
  tiles = views.map(tile);
  by("tiles").replaceChildren(...tiles.map((each) => each.button));
  by("fold").hidden = json === undefined;
  by("json").textContent = pretty(json);
}
function tile(view, place) {
  const canvas = make("canvas"), note = make("small", { hidden: !measures.length });
  const name = make("div", { className: "name" }, make("span", { textContent: view.name }), ...(view.press ? [make("kbd", { textContent: view.press })] : []));
  const button = make("button", { title: view.name }, canvas, name, note);
  const peek = (at) => { state.peek = at; refresh(); };
  button.addEventListener("click", (event) => event.shiftKey ? compareWith(place) : choose(place));
  button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") peek(place); });
  button.addEventListener("pointerleave", () => { if (state.peek === place) peek(-1); });
  return { button, canvas, note };
}
function refresh() {
  const { views, facts = [], notes } = scene(), places = shownPlaces(), measure = Number(by("measure").value);
  by("viewer").classList.toggle("both", state.both);
  while (panes.length < places.length) panes.push(pane());
  by("stage").replaceChildren(...panes.slice(0, places.length).map((each) => each.element));
  for (const name of ["error", "both"]) by(name).setAttribute("aria-pressed", state[name]);
  for (const [k, button] of mapButtons.entries()) {
    button.setAttribute("aria-pressed", k === state.map);
    button.disabled = !views.some((view) => mapOf(view, k) !== undefined);
  }
  by("legend").hidden = !legend.length || (state.map < 0 && places.every((place) => views[place].picture !== views[place].overlay));
  if (state.view < slides) by("slides").value = state.view;
  by("slid").textContent = state.view < slides ? views[state.view].name : "";
  by("second").hidden = !state.both;
  by("second").value = state.second;
  by("zoom").value = state.zoom;
  by("zoomed").textContent = `${state.zoom}×`;
  for (const [k, { button, note }] of tiles.entries()) {
    button.setAttribute("aria-pressed", k === state.view);
    button.classList.toggle("second", state.both && k === state.second && k !== state.view);
    note.textContent = views[k].values?.[measure] ?? "";
  }
  const [always, first, wrong] = notes ?? [], ofMap = [first, ...(scene().other_notes ?? [])][state.map];
  by("said").textContent = [scene().name, always, ofMap, state.error && wrong].filter(Boolean).join(" · ");
  const cell = (text) => ({ text: text || "–" });
  by("facts").hidden = !facts.length && !measures.length;
  by("facts").classList.toggle("plain", !measures.length);
  by("factsHead").replaceChildren(...(measures.length ? [row([{ text: "" }, ...places.map((place) => cell(views[place].name))], "col")] : []));
  by("factsBody").replaceChildren(...facts.map((each) => row(each.map(cell), "row")),
    ...measures.map((name, k) => row([cell(name), ...places.map((place) => cell(views[place].values?.[k]))], "row")));
  fit();
  later();
}

// --- viewer: drawing ---

let waiting = false;
/** Draw with the next frame, once however often it is asked for. */
function later() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}
/** Draw a part of a view, given as shares of it, over a whole canvas: its picture or error, and the overlay. */
function draw(canvas, view, [x, y, width, height], smooth) {
  const context = canvas.getContext("2d"), opacity = Number(by("opacity").value);
  const layers = [[state.error && view.error !== undefined ? view.error : view.picture, 1]];
  if (mapOf(view) !== undefined) layers.push([mapOf(view), opacity]);
  context.imageSmoothingEnabled = smooth;
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const [place, alpha] of layers) {
    const picture = image(place), { naturalWidth: w, naturalHeight: h } = picture;
    if (!picture.complete || !w) continue;
    context.globalAlpha = alpha;
    context.drawImage(picture, x * w, y * h, width * w, height * h, 0, 0, canvas.width, canvas.height);
  }
  context.globalAlpha = 1;
}
/** The magnified place as shares of the picture, square in pixels, inside the picture where it fits. */
function lens() {
  const { width, height } = scene(), room = tiles[0]?.canvas.clientWidth || 128;
  const share = [Math.min(1, room / state.zoom / width), Math.min(1, room / state.zoom / height)];
  const held = (at, size) => Math.min(Math.max(at - size / 2, 0), 1 - size);
  return [held(state.x, share[0]), held(state.y, share[1]), ...share];
}
function paint() {
  if (state.scene < 0) return;
  const { name, views, width, height } = scene(), part = lens();
  for (const [k, place] of shownPlaces().entries()) {
    const { canvas, frame, chip, holder } = panes[k];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    draw(canvas, views[place], [0, 0, 1, 1], true);
    chip.textContent = views[place].name;
    canvas.setAttribute("aria-label", `${name}, ${views[place].name}`);
    holder.classList.toggle("pinned", state.pinned);
    for (const [n, side] of ["left", "top", "width", "height"].entries()) frame.style[side] = `${100 * part[n]}%`;
  }
  for (const [k, { canvas }] of tiles.entries()) {
    const size = Math.round(canvas.clientWidth * devicePixelRatio);
    const shape = [size, Math.round(size * (part[3] * height) / (part[2] * width))];
    if (canvas.width !== shape[0] || canvas.height !== shape[1]) [canvas.width, canvas.height] = shape;
    draw(canvas, views[k], part, false);
  }
}
function pane() {
  const canvas = make("canvas"), frame = make("div", { className: "lens" }), chip = make("span", { className: "chip" });
  canvas.setAttribute("role", "img");
  const holder = make("div", { className: "held" }, canvas, frame), element = make("div", { className: "pane" }, holder, chip);
  const follow = (event) => {
    const box = holder.getBoundingClientRect();
    state.x = (event.clientX - box.left) / box.width;
    state.y = (event.clientY - box.top) / box.height;
    later();
  };
  holder.addEventListener("pointermove", (event) => { if (!state.pinned) follow(event); });
  holder.addEventListener("click", (event) => { state.pinned = !state.pinned; follow(event); });
  return { element, holder, canvas, frame, chip };
}
/** Let each picture be as large as its pane and the window allow. */
function fit() {
  const { width, height } = scene(), count = shownPlaces().length;
  const room = (by("stage").clientWidth - 8 * (count - 1)) / count;
  const scale = Math.min(room / width, Math.max(260, window.innerHeight * 0.78) / height, 4);
  for (const { holder } of panes) Object.assign(holder.style, { width: `${width * scale}px`, height: `${height * scale}px` });
}

// --- viewer: buttons and keys ---

function choose(place) { Object.assign(state, { view: place, peek: -1 }); note(); }
function compareWith(place) { Object.assign(state, { second: place, both: true }); note(); }
function toggle(name) { state[name] = !state[name]; note(); }
function toggleMap(map) { state.map = state.map === map ? -1 : map; note(); }
function exchange() { Object.assign(state, { view: state.second, second: state.view, peek: -1 }); note(); }
function magnify(zoom) { state.zoom = Math.min(16, Math.max(2, zoom)); refresh(); }
function flip(step) { const count = scene().views.length; choose((state.view + step + count) % count); }
function move(step) { show((state.scene + step + scenes.length) % scenes.length); note(); }
/** Keep what is shown in the address, so that it can be sent to a colleague. */
function note() {
  const { name, views } = scene();
  history.replaceState(null, "", hashOf(name, views[state.view].name, ...(state.both ? [views[state.second].name] : [])));
  refresh();
}
function followHash() {
  const [kind, ...rest] = location.hash.slice(1).split("/");
  if (kind !== "scene") return;
  let names = [];
  try { names = rest.map(decodeURIComponent); } catch { return; }
  const index = scenes.findIndex(({ name }) => name === names[0]);
  if (index < 0) return;
  show(index, names.slice(1));
  by("pictures").scrollIntoView();
}
function start() {
  const actions = { previous: () => move(-1), next: () => move(1), ...Object.fromEntries(["error", "both"].map((name) => [name, () => toggle(name)])) };
  const keys = {
    s: actions.both, x: exchange, p: actions.previous, n: actions.next, "+": () => magnify(state.zoom + 1), "=": () => magnify(state.zoom + 1),
    "-": () => magnify(state.zoom - 1), ArrowRight: () => flip(1), ArrowLeft: () => flip(-1),
  };
  mapButtons = maps.map(() => make("button"));
  by("opacity").before(...mapButtons);
  const switches = maps.map((each, k) => [mapButtons[k], each, () => toggleMap(k)]);
  for (const [button, { name: label, press } = {}, action] of [...switches, [by("error"), page.error, actions.error]]) {
    button.hidden = !label;
    if (!label) continue;
    keys[press] = action;
    button.append(label, make("kbd", { textContent: press }));
    by("mapKeys").append(make("kbd", { textContent: press }), ` ${label} `);
  }
  for (const [k, button] of mapButtons.entries()) button.addEventListener("click", () => toggleMap(k));
  for (const [name, background] of legend) {
    const patch = make("i");
    patch.style.background = background;
    by("legend").append(make("li", {}, patch, name));
  }
  for (const id of ["strip", "scenes", "sceneKeys"]) by(id).hidden = scenes.length < 2;
  by("sliding").hidden = !slides;
  by("slides").max = Math.max(slides - 1, 0);
  by("slides").addEventListener("input", () => choose(Number(by("slides").value)));
  for (const [id, action] of Object.entries(actions)) by(id).addEventListener("click", action);
  by("second").addEventListener("change", () => compareWith(Number(by("second").value)));
  by("zoom").addEventListener("input", () => magnify(Number(by("zoom").value)));
  by("opacity").addEventListener("input", () => { state.map = Math.max(state.map, 0); refresh(); });
  by("measure").addEventListener("change", refresh);
  by("measure").append(...measures.map((textContent, value) => make("option", { value, textContent })));
  by("measured").hidden = !measures.length;
  by("viewer").classList.toggle("measured", measures.length > 0);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, .scroll, pre, nav")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const place = scene().views.findIndex((view) => view.press === key);
    const action = place >= 0 ? () => choose(place) : keys[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  by("strip").append(...scenes.map(({ name, views }) => make("li", {}, make("a", { href: hashOf(name), title: name },
    make("img", { src: pictures[views[0].picture], alt: "", loading: "lazy", decoding: "async" }), make("span", { textContent: name })))));
  new ResizeObserver(() => requestAnimationFrame(() => { fit(); later(); })).observe(by("viewer"));
  window.addEventListener("hashchange", followHash);
  show(0);
  followHash();
}
if (scenes.length) start();
