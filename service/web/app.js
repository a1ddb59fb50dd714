// The page: a question, its answer, and what the answer stands on.

import { json, place } from "./calls.js";
import { loadCollections, picker } from "./collections.js";
import "./documents.js";
import { cut, failure, make } from "./elements.js";
import { marked, openSource } from "./source.js";

const question = document.getElementById("question");
const result = document.getElementById("result");
const announced = document.getElementById("status");

const LONG = 120;
const REASONS = {
  empty_collection: "This collection is still empty. Add some documents, then ask again.",
  no_passages: "Nothing in these documents comes near this question.",
  filtered_out: "The filter leaves no document to look at.",
  low_confidence: "I looked, but these documents don’t seem to answer this. Here is what comes closest.",
  unsupported_language: "I can’t read this question’s script. Another model can: see LOCCIT_ENCODER in the settings. Here is what comes closest.",
};
const EXAMPLES = {
  "000_3757811314cd9546.txt": "What do the technological transformation projects in Longhu cost in total?",
  "001_ada726a98d9a6ca7.txt": "How many provincial, municipal and county level complexes has the province built?",
  "003_982224acd634366a.txt": "When was the Science City Park approved?",
  "004_12f09d1236171b8d.txt": "When did the Qingdao delegation arrive in Shenzhen?",
};

// Asking

async function ask(asked) {
  document.getElementById("examples").hidden = true;
  result.replaceChildren(make("div", { class: "card waiting", ariaHidden: "true" }, make("i"), make("i"), make("i")));
  announced.textContent = "Looking through the documents.";
  const send = document.getElementById("send");
  send.disabled = true;
  try {
    const answer = await json("/v1/ask", { question: asked, collection: picker.value });
    result.replaceChildren(...shownAnswer(answer));
    announced.textContent = answer.answered ? `Answer: ${answer.answer}` : "No answer was found.";
  } catch (problem) {
    result.replaceChildren(failure(problem));
    announced.textContent = "";
  } finally {
    send.disabled = false;
  }
}

function shownAnswer(answer) {
  const heading = make("p", { class: "asked" }, answer.question_used === answer.question ? answer.question : `Understood as: ${answer.question_used}`);
  if (!answer.answered) {
    return [
      make("article", { class: "card" }, heading, make("p", { class: "answer" }, "I don’t know."),
        make("p", { class: "quiet" }, REASONS[answer.no_answer_reason] ?? "")),
      answer.passages.length ? part("The closest passages", passageList(answer.passages.slice(0, 4))) : null,
    ].filter(Boolean);
  }
  return [
    make("article", { class: "card" }, heading, answerLine(answer), certainty(answer.confidence)),
    part(answer.citations.length === 1 ? "Where it stands" : "Where they stand",
      make("ol", { class: "citations" }, ...answer.citations.map((citation) => make("li", {}, citationButton(citation))))),
    make("details", {}, make("summary", {}, `All ${answer.passages.length} passages that were found`), passageList(answer.passages)),
  ];
}

function answerLine(answer) {
  const line = make("p", { class: answer.answer.length > LONG ? "answer long" : "answer" });
  let reached = 0;
  for (const claim of answer.claims) {
    const [, before, text] = cut(answer.answer, reached, claim.start, claim.end);
    line.append(before, text);
    for (const number of claim.citations) {
      const jump = make("button", { type: "button", ariaLabel: `Show source ${number}` }, String(number));
      jump.addEventListener("click", () => openSource(answer.citations[number - 1]));
      line.append(make("sup", {}, jump));
    }
    reached = claim.end;
  }
  line.append(cut(answer.answer, reached)[1]);
  return line;
}

function certainty(confidence) {
  const percent = Math.round(confidence * 100);
  return make("p", { class: "certainty quiet" }, make("meter", { min: 0, max: 1, value: confidence, ariaLabel: "Confidence" }), `${percent} % sure`);
}

function part(title, content) {
  return make("section", {}, make("h2", { class: "part" }, title), content);
}

function citationButton(citation) {
  const spans = citation.answer_start === null ? [] : [citation.answer_start - citation.start, citation.answer_end - citation.start];
  return sourceButton(citation, citation.number, marked(citation.quote, ...spans));
}

function passageList(passages) {
  const shown = passages.map((one) => make("li", {}, sourceButton({ ...one, quote: one.text, answer_start: null }, one.rank, [one.text])));
  return make("ol", { class: "passages" }, ...shown);
}

function sourceButton(cited, number, quote) {
  const button = make("button", { type: "button", class: "citation" }, make("span", { class: "number" }, String(number)),
    make("q", {}, ...quote), placeLine(cited));
  button.addEventListener("click", () => openSource(cited));
  return button;
}

function placeLine(cited) {
  const headings = cited.headings.filter((heading) => heading !== cited.title);
  const rest = [...headings, cited.page ? `page ${cited.page}` : null, `characters ${cited.start}–${cited.end}`];
  return make("span", { class: "place quiet" }, make("span", { class: "title" }, cited.title ?? cited.document_id),
    ` · ${rest.filter(Boolean).join(" · ")}`);
}

async function showExamples() {
  const { items } = await json(`${place(picker.value)}/documents?limit=20`);
  const questions = items.map((one) => EXAMPLES[one.document_id]).filter(Boolean);
  const shown = document.getElementById("examples");
  shown.hidden = !questions.length || result.childElementCount > 0;
  shown.replaceChildren(...questions.map((text) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => { question.value = text; ask(text); });
    return button;
  }));
}

// What the hand does

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (question.value.trim()) ask(question.value);
});
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    document.getElementById("ask").requestSubmit();
  }
});
picker.addEventListener("change", async () => {
  result.replaceChildren();
  await loadCollections();
  await showExamples();
});

try {
  await loadCollections();
  await showExamples();
} catch (problem) {
  result.replaceChildren(failure(problem));
}
