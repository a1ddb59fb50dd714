// A question box for a page of the same origin:
//   <script src="/widget.js" data-collection="default" data-label="Ask the handbook" defer></script>
// For a page of another site: the whole address in src, and a key that is meant for that site in data-key.
// It stands where the script stands (for one in the head: at the end of the page), in a shadow root, in the page's colours.

(() => {
  const script = document.currentScript;
  const collection = script.dataset.collection ?? "default";
  const label = script.dataset.label ?? "Ask the documents";
  const address = new URL("/v1/ask", script.src);
  const headers = { "Content-Type": "application/json" };
  if (script.dataset.key) headers.Authorization = `Bearer ${script.dataset.key}`;

  const STYLE = `
    :host { display: block; font: inherit; color: inherit; max-width: 42rem; }
    form { display: flex; gap: .5rem; }
    input { flex: 1; min-width: 0; font: inherit; color: inherit; background: transparent; padding: .5rem .7rem; border: 1px solid currentColor; border-radius: .6rem; }
    button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .6rem; background: #1f5c57; color: #fff; cursor: pointer; }
    button:disabled { opacity: .6; }
    .asked { opacity: .7; font-size: .85em; margin: 1rem 0 0; }
    .answer { font-size: 1.15em; font-weight: 600; margin: 1rem 0 .4rem; }
    blockquote { margin: .6rem 0; padding: 0 0 0 .8rem; border-left: 3px solid #1f5c57; }
    cite { display: block; font-style: normal; opacity: .7; font-size: .85em; }
    mark { background: #ffe58a; color: #22262b; }
  `;

  function make(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // Offsets of the service count code points.
  function quoted(citation) {
    const points = Array.from(citation.quote);
    const between = (from, to) => points.slice(from, to).join("");
    if (citation.answer_start === null) return [citation.quote];
    const from = citation.answer_start - citation.start;
    const to = citation.answer_end - citation.start;
    return [between(0, from), make("mark", {}, between(from, to)), between(to)];
  }

  function shown(answer) {
    const meant = answer.question_used === answer.question ? [] : [make("p", { className: "asked" }, `Understood as: ${answer.question_used}`)];
    if (!answer.answered) return [...meant, make("p", { className: "answer" }, "The documents don’t answer this.")];
    const quotes = answer.citations.map((citation) =>
      make("blockquote", {}, ...quoted(citation), make("cite", {}, `${citation.number}. ${citation.title ?? citation.document_id}`)));
    return [...meant, make("p", { className: "answer" }, answer.answer), ...quotes];
  }

  async function ask(question) {
    const body = JSON.stringify({ question, collection });
    const response = await fetch(address, { method: "POST", headers, body });
    const answer = await response.json();
    return response.ok ? shown(answer) : [make("p", { role: "alert" }, answer.detail ?? "That did not work.")];
  }

  const host = make("div", { className: "loccit" });
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  root.adoptedStyleSheets = [style];
  const input = make("input", { type: "text", required: true, placeholder: label, ariaLabel: label });
  const button = make("button", { type: "submit" }, "Ask");
  const output = make("div", { ariaLive: "polite" });
  const form = make("form", {}, input, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      output.replaceChildren(...(await ask(input.value)));
    } catch {
      output.replaceChildren(make("p", { role: "alert" }, "The service does not answer."));
    } finally {
      button.disabled = false;
    }
  });
  root.append(form, output);
  if (document.head.contains(script)) document.addEventListener("DOMContentLoaded", () => document.body.append(host));
  else script.after(host);
})();
