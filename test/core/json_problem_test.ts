/** The place where a text stops being JSON: found in exactly the texts that no engine parses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jsonProblem } from "../../runtime/core/json_problem.ts";

const CASES: readonly (readonly [string, string])[] = [
  ["", "line 1, column 1: found the end, expected a value"],
  ['{\n  "a": true,,\n}', 'line 2, column 13: found ",", expected a name in double quotes'],
  ['{"a": tru\n}', 'line 1, column 7: found "tru", expected a value'],
  ["{enabled:false}", 'line 1, column 2: found "enabled", expected a name in double quotes or "}"'],
  ['{"a" 1}', 'line 1, column 6: found "1", expected ":"'],
  ['{"a": 1,\n}', 'line 2, column 1: found "}", expected a name in double quotes'],
  ['{"a": [1 2]}', 'line 1, column 10: found "2", expected "," or "]"'],
  ['{"a": [}', 'line 1, column 8: found "}", expected a value or "]"'],
  ['{"a": 1', 'line 1, column 8: found the end, expected "," or "}"'],
  ['{"a": 1}}', 'line 1, column 9: found "}", expected the end'],
  ["{'a': 1}", 'line 1, column 2: found "\'a\'", expected a name in double quotes or "}"'],
  ["[01]", 'line 1, column 3: found "1", expected "," or "]"'],
];

test("mistakes are told with line, column, what was found and what was expected", () => {
  for (const [text, problem] of CASES) assert.equal(jsonProblem(text), problem, text);
});

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test("a problem is found where, and only where, the engine finds one", () => {
  const signs = fc.constantFrom(..."{}[],:\"\\'0.-eE+ \n\ttruefalsn", '"a"', "1", "true", "null", "\\u00e9", "\u0001");
  const made = fc.array(signs, { maxLength: 12 }).map((parts) => parts.join(""));
  const damaged = fc.tuple(fc.json(), fc.nat(), fc.nat(2), signs).map(([json, at, count, sign]) => {
    const from = at % (json.length + 1);
    return json.slice(0, from) + sign + json.slice(from + count);
  });
  fc.assert(
    fc.property(fc.oneof(made, damaged, fc.json()), (text) => (jsonProblem(text) === undefined) === parses(text)),
    { numRuns: 3000 },
  );
});
