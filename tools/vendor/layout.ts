// What fovea uses of the layout library of `fovea explain --html`.
export { Graph, layout } from "../../node_modules/@dagrejs/dagre/dist/dagre.esm.js";
