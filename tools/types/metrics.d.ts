/** Types of `#metrics`, the part of the Prometheus client that tools/vendor.mjs bundles. */
export { Counter, Gauge, Histogram, Registry } from "prom-client";
