import { noise } from "./media_kit.ts";
import { clipImageProcessor } from "../../plugins/clip/preprocess.ts";
const im=noise(1,4000,3000);
const p=clipImageProcessor({});
const t:number[]=[];
for(let k=0;k<12;k++){const b=performance.now();p([im]);t.push(Math.round(performance.now()-b))}
console.log(t.join(" "));
