// The sheet that shows a source as it is stored, with what was quoted of it.

import { call, place } from "./calls.js";
import { closable, cut, failure, make } from "./elements.js";

const CONTEXT = 1500;
const sheet = document.getElementById("source");

closable(sheet);

export async function openSource(cited) {
  document.getElementById("source-title").textContent = cited.title ?? cited.document_id;
  document.getElementById("source-place").replaceChildren(
    `${cited.document_id} · version ${cited.version}` + (cited.quote === undefined ? "" : ` · characters ${cited.start}–${cited.end}`),
    ...pageLink(cited));
  const paper = document.getElementById("source-text");
  paper.replaceChildren();
  if (!sheet.open) sheet.showModal();
  await showText(paper, cited, Math.max(0, (cited.start ?? 0) - CONTEXT), (cited.end ?? 0) + CONTEXT);
}

function pageLink(cited) {
  // Whoever put the document chose its address: anything but a page of the web is no link.
  if (!/^(https?:\/\/|\/v1\/)/.test(cited.page_url ?? "")) return [];
  return [" · ", make("a", { href: cited.page_url, target: "_blank", rel: "noreferrer" }, `page ${cited.page} of the original`)];
}

async function showText(paper, cited, from, to) {
  try {
    const path = `${place(cited.collection)}/documents/${cited.document_id}/text?version=${cited.version}`;
    const text = await (await call(`${path}&start=${from}&end=${to}`)).text();
    const length = Array.from(text).length;
    const widen = (label, start, end) => {
      const button = make("button", { type: "button", class: "plain" }, label);
      button.addEventListener("click", () => showText(paper, cited, start, end));
      return button;
    };
    paper.replaceChildren(...(from > 0 ? [widen("↑ Show more before", Math.max(0, from - 4 * CONTEXT), to)] : []),
      ...highlighted(text, cited, from), ...(length === to - from ? [widen("↓ Show more after", from, to + 4 * CONTEXT)] : []));
    paper.querySelector(".quote")?.scrollIntoView({ block: "center" });
  } catch (problem) {
    paper.replaceChildren(failure(problem));
  }
}

function highlighted(text, cited, from) {
  if (cited.quote === undefined) return [text];
  const [before, quote, after] = cut(text, cited.start - from, cited.end - from);
  const spans = cited.answer_start === null ? [] : [cited.answer_start - cited.start, cited.answer_end - cited.start];
  return [before, make("span", { class: "quote" }, ...marked(quote, ...spans)), after];
}

export function marked(quote, from, to) {
  if (from === null || from === undefined) return [quote];
  const [before, inside, after] = cut(quote, from, to);
  return [before, make("mark", { class: before || after ? "" : "whole" }, inside), after];
}
