// Keeps an open page up to date: the server renders the parts that changed, this puts them in.
// Without it every page still reads and every form still works.

const here = document.body;
const button = document.getElementById("live");
const said = document.getElementById("said");
const CALM = 4000; // ms between two announcements: a screen reader is not to be flooded

// --- live parts -----------------------------------------------------------------------------

let source = null;
let paused = sessionStorage.getItem("paused") === "yes";

function show() {
  const off = !paused && source?.readyState !== EventSource.OPEN;
  button.textContent = paused ? "Paused" : off ? "Reconnecting" : "Live";
  button.setAttribute("aria-pressed", String(paused));
  button.title = paused ? "Go on" : "Pause";
  button.classList.toggle("lost", off);
}

function open() {
  source?.close();
  source = null;
  // a page that nobody sees needs no news; browsers allow few streams to one server
  if (!paused && !document.hidden) {
    source = new EventSource(`/portal/events?view=${encodeURIComponent(here.dataset.view)}`);
    source.addEventListener("part", (event) => put(JSON.parse(event.data)));
    source.addEventListener("gone", (event) => gone(JSON.parse(event.data).html));
    source.onopen = show;
    source.onerror = lost;
  }
  show();
}

// a broken stream comes back by itself; one that was refused is asked for again
function lost() {
  if (source?.readyState === EventSource.CLOSED) setTimeout(open, 5000);
  show();
}

const held = new Map(); // what came for a part that somebody was busy in

function put({ id, html }) {
  const part = document.getElementById(id);
  held.delete(id);
  if (!part) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  if (fresh.innerHTML.trim() === part.innerHTML.trim()) return;
  if (selecting(part) || typing(part)) return held.set(id, { id, html });
  document.getElementById("gone").hidden = true;
  const focused = part.contains(document.activeElement) ? name(document.activeElement) : null;
  const before = words(part);
  const tail = "tail" in part.dataset && atEnd(part);
  part.replaceChildren(fresh.content);
  if (tail) part.scrollTop = part.scrollHeight;
  if (focused) again(part, focused)?.focus({ preventScroll: true });
  if (words(part) !== before) announce(words(part));
}

const atEnd = (part) => part.scrollTop + part.clientHeight >= part.scrollHeight - 8;

function gone(why) {
  const notice = document.getElementById("gone");
  notice.textContent = why;
  notice.hidden = false;
}

// who marks a text to copy it is not disturbed
function selecting(part) {
  const selection = document.getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

function typing(part) {
  const form = part.contains(document.activeElement) && document.activeElement.closest("form");
  return form && form.querySelector("input:not([type=hidden]), textarea, select");
}

function release() {
  if (held.size) setTimeout(() => [...held.values()].forEach(put));
}

// the same link or button in the new part
function name(element) {
  return [element.tagName, element.getAttribute("href"), element.getAttribute("aria-label"), element.textContent];
}

function again(part, [tag, ...wanted]) {
  return [...part.querySelectorAll(tag)].find((one) => name(one).slice(1).every((it, i) => it === wanted[i]));
}

// --- announcements --------------------------------------------------------------------------

let waiting = null;
let spoke = 0;

const words = (part) => part.querySelector("[data-say]")?.dataset.say ?? "";

function announce(text) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    said.textContent = text;
    spoke = Date.now();
  }, Math.max(0, spoke + CALM - Date.now()));
}

// --- keys: shown by a form's answer, forgotten soon -------------------------------------------

async function reveal(form) {
  const box = form.closest(".secrets");
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { "X-Keystead-Part": "yes" },
  });
  if (!answer.ok) return form.submit();
  const keys = document.createElement("template");
  keys.innerHTML = await answer.text();
  const hide = document.createElement("button");
  hide.type = "button";
  const left = document.createElement("span");
  left.className = "hint";
  const foot = document.createElement("p");
  foot.className = "acts";
  foot.append(hide, left);
  hide.textContent = "Hide";
  const end = Date.now() + 1000 * box.dataset.seconds;
  const forget = () => {
    clearInterval(clock);
    if (!box.contains(hide)) return;
    box.replaceChildren(form);
    form.querySelector("button").focus({ preventScroll: true });
  };
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    left.textContent = `hidden again in ${seconds} s`;
    if (seconds <= 0) forget();
  };
  const clock = setInterval(tick, 500);
  hide.onclick = forget;
  addEventListener("pagehide", forget, { once: true });
  box.replaceChildren(keys.content, foot);
  tick();
  offer(box);
  hide.focus();
}

function offer(part) {
  for (const one of part.querySelectorAll("[data-copy]")) one.hidden = !navigator.clipboard;
}

async function copy(one) {
  await navigator.clipboard.writeText(one.dataset.copy || one.parentElement.querySelector("input").value);
  const label = one.textContent;
  one.textContent = "Copied";
  announce("Copied");
  setTimeout(() => (one.textContent = label), 1500);
}

// ----------------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-reveal]")) {
    event.preventDefault();
    reveal(event.target);
  }
});
document.addEventListener("click", (event) => {
  const one = event.target.closest("[data-copy]");
  if (one) copy(one);
});
document.addEventListener("focusout", release);
document.addEventListener("selectionchange", release);
offer(document);
for (const part of document.querySelectorAll("[data-tail]")) part.scrollTop = part.scrollHeight;
document.querySelector("header nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

if (button && here.dataset.view) {
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "yes" : "no");
    open();
  });
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
