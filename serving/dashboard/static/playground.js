// Asks as any client of the router does, and puts in what comes as it comes: as text, never as markup.
"use strict";
(() => {
  const form = document.getElementById("ask"), stop = document.getElementById("stop"), ask = document.getElementById("ask-button");
  const answers = document.getElementById("answers"), preference = document.getElementById("preference");
  const { root } = form.dataset, colors = JSON.parse(form.dataset.colors);

  const asked = (model) => {
    const { prompt, system, temperature, max_tokens: most } = form.elements;
    const messages = [{ role: "user", content: prompt.value }];
    if (system.value.trim()) messages.unshift({ role: "system", content: system.value });
    return {
      model, messages, stream: true,
      ...(temperature.value === "" ? {} : { temperature: Number(temperature.value) }),
      ...(most.value === "" ? {} : { max_tokens: Number(most.value) }),
    };
  };

  const troubleOf = async (response) => {
    try { return (await response.json()).error.message; } catch { return `The router answered ${response.status}.`; }
  };

  async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    for (let held = "", done = false; !done;) {
      const piece = await reader.read();
      done = piece.done;
      const parts = (held + (piece.value ?? "")).split(/\r?\n\r?\n/);
      held = parts.pop();
      for (const part of parts) {
        const data = part.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n").trim();
        if (data && data !== "[DONE]") yield JSON.parse(data);
      }
    }
  }

  const named = (turn, response) => {
    const arm = response.headers.get("x-highwayman-arm"), id = response.headers.get("x-highwayman-decision");
    turn.querySelector(".arm").textContent = arm ?? "No answer";
    turn.querySelector(".swatch rect").setAttribute("fill", colors[arm] ?? "var(--others)");
    if (id) htmx.ajax("GET", `${root}/playground/${id}`, { target: turn.querySelector(".decided"), swap: "innerHTML" });
    return id;
  };

  const cleared = (turn) => {
    turn.querySelectorAll(".words, .thought, .decided, .trouble").forEach((part) => part.replaceChildren());
    turn.querySelector(".trouble").hidden = true;
    turn.querySelector(".arm").textContent = "…";
    turn.querySelector(".swatch rect").setAttribute("fill", "var(--others)");
    turn.hidden = false;
  };

  // Returns the decision's id if its answer came to its end.
  const answer = async (turn, model, signal) => {
    const words = turn.querySelector(".words"), state = turn.querySelector(".state"), trouble = turn.querySelector(".trouble");
    cleared(turn);
    state.textContent = "waits";
    words.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(`${root}/playground/ask`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked(model)), signal });
      const id = named(turn, response);
      if (!response.ok) throw new Error(await troubleOf(response));
      state.textContent = "answers";
      for await (const event of events(response.body)) {
        if (event.error) throw new Error(event.error.message);
        const delta = event.choices?.[0]?.delta ?? {};
        if (delta.reasoning_content) turn.querySelector(".thought").append(delta.reasoning_content);
        if (delta.content) words.append(delta.content);
      }
      state.textContent = "done";
      return id;
    } catch (error) {
      state.textContent = signal.aborted ? "stopped" : "failed";
      if (!signal.aborted) { trouble.textContent = error instanceof TypeError ? "The connection to the router broke." : error.message; trouble.hidden = false; }
      return null;
    } finally {
      words.setAttribute("aria-busy", "false");
    }
  };

  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    const { model, beside } = form.elements, models = [model.value, ...(beside.value ? [beside.value] : [])];
    answers.classList.toggle("beside", models.length === 2);
    document.getElementById("b").hidden = models.length === 1;
    if (preference) preference.hidden = true;
    ask.disabled = true; stop.disabled = false;
    const ids = await Promise.all(models.map((name, place) => answer(answers.children[place], name, running.signal)));
    running = null;
    ask.disabled = false; stop.disabled = true;
    if (!preference || ids.length < 2 || ids.includes(null)) return;
    [preference.elements.decision_id.value, preference.elements.other.value] = ids;
    document.getElementById("preferred").replaceChildren();
    preference.hidden = false;
  });
  stop.addEventListener("click", () => running?.abort());
  document.getElementById("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
})();
