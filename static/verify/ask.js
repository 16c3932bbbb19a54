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

async function ask(path) {
  try {
    // Never from a cache: an old checkpoint would look like a log that shrank.
    const answer = await fetch(path, { cache: "no-store" });
    return { answer: answer.ok ? answer : null, denied: answer.status === 404 };
  } catch {
    return { answer: null, denied: false };
  }
}
