// The server's API, and what can go wrong on the way, in words.

/** What a person can be told. `field` is the field of the request that it is about, if it names one. */
export class Problem extends Error {
  constructor(message, field = null) {
    super(message);
    this.field = field;
  }
}

const LOST = "The server cannot be reached. Is it still running, and the port still forwarded? Nothing is lost: try again.";
const BROKEN = "The connection broke before the answer was whole. Try again.";

/** A GET, as JSON. Raises Problem. */
export async function get(path) {
  const answer = await reached(fetch(path, { headers: { accept: "application/json" } }));
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/**
 * The events of a POST that streams, without its end mark. Raises Problem; AbortError when `signal` says so.
 *
 * A `file` of this media type is the body itself; the fields are then parameters of the address.
 */
export async function* events(path, fields, signal, file = null, type = "application/json") {
  const body = { ...fields, stream: true };
  const answer = await reached(
    fetch(file ? `${path}?${parameters(body)}` : path, {
      method: "POST",
      headers: { "content-type": type },
      body: file ?? JSON.stringify(body),
      signal,
    }),
  );
  if (!answer.ok) throw await refusal(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reached(reader.read(), BROKEN);
    if (done) throw new Problem(BROKEN);
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.slice("data: ".length);
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Problem(told(event.error), fieldOf(event.error));
      yield event;
    }
  }
}

function parameters(body) {
  const each = Object.entries(body).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  return new URLSearchParams(each);
}

async function reached(promise, otherwise = LOST) {
  try {
    return await promise;
  } catch (error) {
    // What fetch and streams raise for a network that fails; an abort is nobody's fault.
    if (error instanceof TypeError) throw new Problem(otherwise);
    throw error;
  }
}

async function refusal(answer) {
  let error = null;
  try {
    error = (await answer.json()).error;
  } catch (unreadable) {
    if (!(unreadable instanceof SyntaxError)) throw unreadable; // it is no JSON: something between us answered
  }
  const seconds = answer.headers.get("retry-after");
  const wait = seconds ? ` Try again in ${seconds} seconds.` : "";
  if (!error) return new Problem(`The answer was ${answer.status} ${answer.statusText}, from something before the server.${wait}`);
  const why = { 429: "Too many are asking right now.", 503: "The model does not answer yet.", 504: "It took too long." };
  return new Problem(`${why[answer.status] ?? ""} ${told(error)}${wait}`.trim(), fieldOf(error));
}

function told(error) {
  const message = plain(error);
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

/** Without what a validator puts around its words. */
const plain = (error) => String(error.message ?? error.type).replace(/\bbody: (?=Value error, )|Value error, /g, "");

/** The most exact name of a field in an error: "context.1.id" rather than "context". */
function fieldOf(error) {
  const named = [...plain(error).matchAll(/(?:^|; )([a-z_]+(?:[. ][\w.-]+)?):/g)].map((match) => match[1]);
  return [error.param, ...named].filter(Boolean).sort((one, other) => other.length - one.length)[0] ?? null;
}
