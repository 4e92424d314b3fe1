/** How WGSL spells subgroup matrices: not standardised yet, so that compilers differ. One row for each. */

export interface MatrixDialect {
  /** Directives at the head of a module. */
  readonly enables: readonly string[];
  /** Type of a part: columns, then rows. */
  readonly type: (use: "left" | "right" | "result", element: "f16" | "f32", columns: number, rows: number) => string;
  /** A part in memory: `at` and `pitch` (from line to line) in elements of the array. */
  readonly load: (type: string, array: string, at: string, lines: "rows" | "columns", pitch: string) => string;
  readonly store: (array: string, at: string, value: string, pitch: string) => string;
  /** left times right, added to a result. */
  readonly multiplyAdd: (left: string, right: string, result: string) => string;
}

/** Names of dialects, as a device's capability `subgroupMatrix` has them. */
export const MATRIX_DIALECTS: Readonly<Record<string, MatrixDialect>> = {
  // Dawn of 2026: the order of a part is a template argument, and arrays may be of vectors.
  chromium: {
    enables: [
      "enable f16;",
      "enable chromium_experimental_subgroup_matrix;",
      // Parts of a tile follow from an invocation's number; subgroups are 32 of them in order.
      "diagnostic(off, chromium.subgroup_matrix_uniformity);",
    ],
    type: (use, element, columns, rows) => `subgroup_matrix_${use}<${element}, ${columns}, ${rows}>`,
    load: (type, array, at, lines, pitch) =>
      `subgroupMatrixLoad<${type}, ${lines === "rows" ? "row_major" : "col_major"}>(&${array}, ${at}, ${pitch})`,
    store: (array, at, value, pitch) => `subgroupMatrixStore<row_major>(&${array}, ${at}, ${value}, ${pitch});`,
    multiplyAdd: (left, right, result) => `subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${result})`,
  },
};
