// What pages do beside htmx: the theme, the pause of what is live, questions before what cannot be undone.
"use strict";
(() => {
  const root = document.documentElement;
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = document.getElementById("theme-switch"), live = document.getElementById("live-switch");

  const nameTheme = () => { if (theme) theme.textContent = isDark() ? "Light" : "Dark"; };
  theme?.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* this visit only */ }
    nameTheme();
  });
  nameTheme();

  // On a phone the pages stand in a row that scrolls: the one that is open is in sight.
  document.querySelector(".rail [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // What is swapped in leaves alone what the reader has done: details that are open, words being typed, charts as drawn.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks = {
    ...Idiomorph.defaults.callbacks,
    beforeAttributeUpdated: (name, node) => !(name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG")),
    beforeNodeRemoved: (node) => !node.parentElement?.classList.contains("plot"),
  };

  // What cannot be undone is asked about first.
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  }, true);

  // What changes by itself can be held still: news are not followed while the switch is off or the page is not seen.
  let missed = false;
  const follows = () => (!live || live.getAttribute("aria-pressed") === "true") && !document.hidden;
  const catchUp = () => { if (missed && follows()) { missed = false; document.querySelectorAll("[hx-trigger*='sse:news']").forEach((part) => htmx.trigger(part, "sse:news")); } };
  live?.addEventListener("click", () => {
    live.setAttribute("aria-pressed", String(live.getAttribute("aria-pressed") !== "true"));
    live.textContent = live.getAttribute("aria-pressed") === "true" ? "Live" : "Paused";
    catchUp();
  });
  document.addEventListener("visibilitychange", catchUp);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig?.triggeringEvent?.type !== "sse:news" || follows()) return;
    missed = true;
    event.preventDefault();
  });
  document.addEventListener("htmx:responseError", (event) => say(event.detail.xhr));
  document.addEventListener("htmx:sendError", () => tell("The router does not answer."));
  document.addEventListener("htmx:afterOnLoad", () => tell(""));  // it answers again
  const tell = (text) => { const told = document.getElementById("told"); if (told) told.textContent = text; };
  const say = (xhr) => { try { tell(JSON.parse(xhr.responseText).error.message); } catch { tell(`The router answered ${xhr.status}.`); } };
})();
