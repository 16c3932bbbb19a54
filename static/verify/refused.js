// Why something is refused: a key and, where there are several reasons, the part that is wrong. They
// are the names that the Python modules give (`note_key` with part `base64`), so that both can be
// held to the same vectors.
export class Refused extends Error {
  constructor(key, part = "") {
    super(part ? `${key}.${part}` : key);
    this.name = "Refused";
    this.key = key;
    this.part = part;
  }

  get reason() {
    return this.message;
  }
}

// Returns what `run` gives, or `otherwise` where it was refused. A mistake of ours is no refusal.
export async function unlessRefused(run, otherwise) {
  try {
    return await run();
  } catch (err) {
    if (err instanceof Refused) return otherwise;
    throw err;
  }
}
