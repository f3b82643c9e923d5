// Keeps a page fresh, puts times in the viewer's zone, plays from a line, and shows the words of
// a call in progress. The page is whole without it, but for those last two.
"use strict";

// ---- times ------------------------------------------------------------------------------------

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const yearFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const nearFormat = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

// The appliance's clock less the viewer's, in ms: known from the first answer on.
let clockSkew = 0;

function dayOf(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate());
}

// Within a sentence today goes without saying.
function inWords(date, within) {
  const days = Math.round((dayOf(date) - dayOf(new Date())) / 86400000);
  let day = yearFormat.format(date);
  if (days === 0 && within) {
    return clockFormat.format(date);
  } else if (days === 0 || days === -1) {
    day = nearFormat.format(days, "day");
    day = within ? day : day.charAt(0).toLocaleUpperCase() + day.slice(1);
  } else if (Math.abs(days) < 300) {
    day = dayFormat.format(date);
  }
  return `${day}, ${clockFormat.format(date)}`;
}

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.getTime())) {
      time.textContent = inWords(date, time.classList.contains("within"));
      time.title = fullFormat.format(date);
    }
  }
}

function asLength(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function showRunning() {
  for (const running of document.querySelectorAll("[data-since]")) {
    const since = new Date(running.dataset.since).getTime();
    running.textContent = asLength((Date.now() + clockSkew - since) / 1000);
  }
}

// ---- freshness --------------------------------------------------------------------------------

// What the appliance last sent for each part, before anything here changed it.
const asSent = new Map();
let etag = null;
let pollTimer = 0;

function partsOf(root) {
  return [...root.querySelectorAll("[data-part]")];
}

// A part as text. What is for readers without script is parsed differently with one, so that it
// would make every part that has some look changed, and the player begin anew.
function asText(part) {
  const copy = part.cloneNode(true);
  copy.querySelectorAll("noscript").forEach((element) => element.remove());
  return copy.outerHTML;
}

function putIn(fresh) {
  const offline = document.getElementById("offline");
  offline.hidden = true;
  const main = document.getElementById("main");
  main.dataset.pollMs = fresh.getElementById("main")?.dataset.pollMs ?? "";
  for (const part of partsOf(fresh)) {
    const here = document.getElementById(part.id);
    const text = asText(part);
    if (here && asSent.get(part.id) !== text) {
      asSent.set(part.id, text);
      replacePart(here, part);
    }
  }
}

function replacePart(here, part) {
  if (keepsLiveWords(here, part)) {
    return;
  }
  const focused = here.contains(document.activeElement) ? document.activeElement : null;
  const known = new Set([...here.querySelectorAll("a.who")].map((link) => link.href));
  const fresh = document.importNode(part, true);
  here.replaceWith(fresh);
  prepare(fresh);
  for (const link of known.size ? fresh.querySelectorAll("a.who") : []) {
    link.closest("li").classList.toggle("fresh", !known.has(link.href));
  }
  if (focused) {
    const href = focused.getAttribute("href");
    const again = href && [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === href);
    (again || fresh.querySelector("button, a"))?.focus({ preventScroll: true });
  }
}

// The words heard live stay until the transcript takes their place.
function keepsLiveWords(here, part) {
  const heard = here.dataset.state === "live" || here.dataset.state === "waiting";
  if (!heard || part.dataset.state !== "waiting" || !here.querySelector(".turn")) {
    return false;
  }
  here.dataset.state = "waiting";
  here.querySelector(".note").textContent = part.querySelector(".note").textContent;
  return true;
}

async function poll() {
  clearTimeout(pollTimer);
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    await take(await fetch(location.href, { headers, cache: "no-store" }));
  } catch {
    document.getElementById("offline").hidden = false;
  }
  pollLater();
}

async function take(answer) {
  const now = Date.parse(answer.headers.get("Date"));
  if (!Number.isNaN(now)) {
    clockSkew = now - Date.now();
  }
  if (answer.redirected && new URL(answer.url).pathname === "/login") {
    // The session has ended while the page was open.
    location.assign(answer.url);
  } else if (answer.status === 304) {
    document.getElementById("offline").hidden = true;
  } else if (answer.ok) {
    etag = answer.headers.get("ETag");
    putIn(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } else {
    throw new Error(`status ${answer.status}`);
  }
}

function pollLater() {
  clearTimeout(pollTimer);
  const pause = Number(document.getElementById("main").dataset.pollMs);
  if (pause > 0 && !document.hidden) {
    pollTimer = setTimeout(poll, pause);
  }
}

// A form that changes something: sent from here, so that the page stays where it is.
async function sendInPlace(event) {
  const form = event.target.closest("form[data-in-place]");
  if (!form) {
    return;
  }
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    await take(await fetch(form.action, { method: "POST", body, headers: { "X-Fieldtape": "1" } }));
    form.reset();
  } catch {
    document.getElementById("offline").hidden = false;
  }
  // Where nothing changed, it is still there.
  button.disabled = false;
  pollLater();
}

// ---- playing ----------------------------------------------------------------------------------

function player() {
  return document.getElementById("player");
}

function playFrom(seconds) {
  const audio = player();
  if (audio) {
    // Before anything is loaded this says where to begin.
    audio.currentTime = seconds;
    play(audio);
  }
}

function play(audio) {
  audio.play().catch((error) => {
    // Stopped by the viewer before it began is no error; nor is a browser that plays nothing before
    // somebody has chosen something on the page.
    if (error.name !== "AbortError" && error.name !== "NotAllowedError") {
      document.getElementById("player-error").hidden = false;
    }
  });
}

function chooseVoice(event) {
  const audio = player();
  if (event.target.name !== "voice" || !audio) {
    return;
  }
  const [at, playing] = [audio.currentTime, !audio.paused];
  document.getElementById("player-error").hidden = true;
  audio.src = event.target.value;
  audio.setAttribute("aria-label", event.target.parentElement.textContent.trim());
  audio.currentTime = at;
  if (playing) {
    play(audio);
  }
}

// Marks the lines that are being spoken: both parties may be.
function markSpoken() {
  const now = player().currentTime;
  for (const line of document.querySelectorAll("button.line")) {
    const spoken = Number(line.dataset.start) <= now && now < Number(line.dataset.end);
    if (spoken !== line.hasAttribute("aria-current")) {
      line.toggleAttribute("aria-current", spoken);
      if (spoken) {
        line.setAttribute("aria-current", "true");
      }
    }
  }
}

// ---- words of a call in progress --------------------------------------------------------------

// Below this the words are shown in grey; the same as the appliance's own.
const DOUBTFUL = 0.5;

const speakers = { agent: "Agent", technician: "Technician" };
let live = null;

function listenTo(turns) {
  live?.close();
  const source = new EventSource(turns.dataset.live);
  live = source;
  const note = () => turns.closest("section").querySelector(".note");
  // A new connection begins with all that was said.
  source.addEventListener("open", () => turns.replaceChildren());
  source.addEventListener("segment", (event) => showSegment(turns, JSON.parse(event.data)));
  source.addEventListener("provisional", (event) => showProvisional(turns, JSON.parse(event.data)));
  source.addEventListener("status", (event) => {
    const { lag_s: lag } = JSON.parse(event.data);
    const behind = lag === null ? null : Math.round(lag);
    if (behind === null) {
      note().textContent = "Recording. No words of this call are being written down yet.";
    } else if (behind < 2) {
      note().textContent = "Words appear as they are spoken.";
    } else {
      note().textContent = `Words appear ${behind} s behind the speakers.`;
    }
  });
  source.addEventListener("end", () => {
    source.close();
    poll();
  });
}

// What was said stays; a place already told is only told again.
function showSegment(turns, segment) {
  const said = turns.querySelector(`[data-n="${Number(segment.n)}"]`);
  if (!said) {
    takeBackProvisional(turns, segment.speaker);
    showLine(turns, segment).dataset.n = segment.n;
  }
}

// What a speaker seems to be saying just now, below all that was said.
function showProvisional(turns, guess) {
  const shown = turns.querySelector(`.provisional[data-speaker="${CSS.escape(guess.speaker)}"]`);
  if (shown && guess.text) {
    shown.textContent = guess.text.trim();
    return;
  }
  takeBackProvisional(turns, guess.speaker);
  if (guess.text) {
    const line = showLine(turns, guess);
    line.classList.add("provisional");
    line.dataset.speaker = guess.speaker;
  }
}

function takeBackProvisional(turns, speaker) {
  for (const line of turns.querySelectorAll(`.provisional[data-speaker="${CSS.escape(speaker)}"]`)) {
    const turn = line.closest(".turn");
    line.remove();
    if (!turn.querySelector(".line")) {
      turn.remove();
    }
  }
}

function showLine(turns, segment) {
  const atBottom = innerHeight + scrollY > document.documentElement.scrollHeight - 200;
  let turn = turns.lastElementChild;
  if (!turn?.classList.contains(segment.speaker)) {
    turn = newTurn(segment);
    turns.append(turn);
  }
  const line = document.createElement("p");
  line.className = segment.confidence < DOUBTFUL ? "line doubtful" : "line";
  line.dir = "auto";
  line.textContent = segment.text.trim();
  turn.querySelector(".lines").append(line);
  if (atBottom) {
    line.scrollIntoView({ block: "nearest" });
  }
  return line;
}

function newTurn(segment) {
  const turn = document.createElement("li");
  turn.className = `turn ${segment.speaker in speakers ? segment.speaker : ""}`;
  const speaker = document.createElement("p");
  speaker.className = "speaker";
  const at = document.createElement("span");
  at.className = "at";
  at.textContent = asLength(segment.start_s);
  speaker.append(speakers[segment.speaker] ?? "", " ", at);
  const lines = document.createElement("div");
  lines.className = "lines";
  turn.append(speaker, lines);
  return turn;
}

// ---- beginning --------------------------------------------------------------------------------

// Makes a part that has just come in ready for use.
function prepare(root) {
  showTimes(root);
  showRunning();
  for (const voices of root.querySelectorAll(".voices")) {
    voices.hidden = voices.querySelectorAll("input").length < 2;
  }
  for (const hint of root.querySelectorAll(".hint")) {
    hint.hidden = false;
  }
  const audio = root.querySelector("#player");
  audio?.addEventListener("timeupdate", markSpoken);
  audio?.addEventListener("error", () => {
    document.getElementById("player-error").hidden = false;
  });
  const turns = root.querySelector("[data-live]");
  if (turns) {
    listenTo(turns);
  }
}

for (const part of partsOf(document)) {
  asSent.set(part.id, asText(part));
}
prepare(document);
document.addEventListener("submit", sendInPlace);
document.addEventListener("change", chooseVoice);
document.addEventListener("click", (event) => {
  const line = event.target.closest?.("button.line");
  if (line) {
    // By keyboard there is no word, only the line.
    const word = event.target.closest("[data-at]");
    playFrom(Number(word ? word.dataset.at : line.dataset.start));
  }
  const seek = event.target.closest?.("a.seek");
  if (seek && player()) {
    event.preventDefault();
    playFrom(Number(seek.dataset.start));
  }
});
// A link to a place in the call: a hit of the search.
const place = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
if (place && player()) {
  playFrom(Number(place[1]));
  const lines = [...document.querySelectorAll("button.line")];
  const next = lines.find((line) => Number(line.dataset.end) > Number(place[1]) + 3);
  next?.scrollIntoView({ block: "center" });
}
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(pollTimer) : poll()));
setInterval(showRunning, 1000);
pollLater();
