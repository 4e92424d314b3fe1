// Reporter for `node --test`: one JSON line per test, with the file and the reason of a skip, which its junit form lacks.
import { existsSync } from "node:fs";

export default async function* nodeReporter(events) {
  const complaints = new Map();
  let late = "";
  for await (const { type, data } of events) {
    if (type === "test:stderr") complaints.set(data.file, `${complaints.get(data.file) ?? ""}${data.message}`);
    // An error after the end of its test is told in a diagnostic, without the file, before the file's own failure.
    if (type === "test:diagnostic" && data.message.startsWith("Error:")) late += `${data.message}\n`;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, file, nesting, skip, todo } = data;
    if (isFile(name)) {
      // A file that fails as a whole, or has no test, is reported as a test with the file's name; why is on its stderr.
      const why = `${late}${complaints.get(file ?? name) ?? ""}` || data.details?.error?.message;
      const message = type === "test:pass" ? "No test ran." : why;
      late = "";
      yield line({ file: name, nesting, outcome: "failed", message });
      continue;
    }
    const reason = skip ?? todo;
    const outcome = reason !== undefined ? "skipped" : type === "test:pass" ? "passed" : "failed";
    const error = data.details?.error;
    const message = outcome === "failed" ? String(error?.cause?.stack ?? error?.message ?? "no message") : undefined;
    const { duration_ms: ms } = data.details ?? {};
    yield line({ name, file, nesting, outcome, ms, reason: typeof reason === "string" ? reason : undefined, message });
  }
}

function isFile(name) {
  return /_test\.js$/.test(name) && existsSync(name);
}

function line(record) {
  return `${JSON.stringify(record)}\n`;
}
