/** Types of `#layout`, the layout library that tools/vendor.mjs bundles. */
export { Graph, layout } from "@dagrejs/dagre";
