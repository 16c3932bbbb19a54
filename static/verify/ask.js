// Asking this service. Nothing that fails here may look like an answer, or like an accusation.

// Returns the answer's text, null where there is none: offline, refused, in error.
export async function askText(path) {
  const { answer } = await ask(path);
  return answer === null ? null : answer.text().catch(() => null);
}

// Returns the answer's bytes, or null.
export async function askBytes(path) {
  return (await askEvidence(path)).raw;
}

// Returns {raw, denied}: the bytes or null, and whether the service itself said that there are none. A
// line that is cut or a service in trouble says nothing.
export async function askEvidence(path) {
  const { answer, denied } = await ask(path);
  const raw = answer === null ? null : await answer.arrayBuffer().catch(() => null);
  return { raw: raw === null ? null : new Uint8Array(raw), denied };
}

// Returns {told, status}: what a JSON answer says, null where it is none, and the answer's status, 0 where
// there is no answer at all.
export async function askJSON(path) {
  const { answer, status } = await ask(path);
  const told = answer === null ? null : await answer.json().catch(() => null);
  return { told, status };
}

async function ask(path) {
  try {
    // Never from a cache: an old checkpoint would look like a log that shrank.
    const answer = await fetch(path, { cache: "no-store" });
    const { ok, status } = answer;
    return { answer: ok ? answer : null, denied: status === 404, status };
  } catch {
    return { answer: null, denied: false, status: 0 };
  }
}
