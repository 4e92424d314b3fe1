// Reporter for `node --test`: one JSON line per test, with the file and the reason of a skip, which its junit form lacks.

export default async function* nodeReporter(events) {
  const complaints = new Map();
  for await (const { type, data } of events) {
    if (type === "test:stderr") complaints.set(data.file, `${complaints.get(data.file) ?? ""}${data.message}`);
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, file, nesting, skip, todo } = data;
    const reason = skip ?? todo;
    const outcome = reason !== undefined ? "skipped" : type === "test:pass" ? "passed" : "failed";
    const error = outcome === "failed" ? data.details?.error : undefined;
    // A file that fails as a whole is reported as a test with the file's name; why is on its stderr.
    const whole = file !== undefined && name === file;
    const message = whole ? complaints.get(file) : (error?.cause?.stack ?? error?.message);
    yield `${JSON.stringify({ name: whole ? "(the whole file)" : name, file, nesting, outcome, reason: reason === true ? undefined : reason, message: error === undefined ? undefined : String(message ?? error.message) })}\n`;
  }
}
