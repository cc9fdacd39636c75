import { instructions } from '../table.ts';
import { describeCase, forEveryForm } from './cases.ts';
import { FaultChecker } from './differential.ts';
import { referenceEngine } from './engines.ts';
declare const process: any; declare const console: any;
const per = Number(process.argv[2] ?? 4);
const filter = process.argv[3];
const checker = new FaultChecker(referenceEngine);
const errors = new Map<string, { n: number; first: string }>();
const faults = new Map<string, number>();
let cases = 0;
const note = (key: string, text: string) => { const e = errors.get(key); if (e) e.n++; else errors.set(key, { n: 1, first: text }); };
const t0 = performance.now();
declare const performance: any;
const never = forEveryForm(instructions, { seed: Number(process.argv[4] ?? 1), perForm: per, ...(filter ? { only: (i: any) => new RegExp(`^(${filter})$`).test(i.name) } : {}) }, (c) => {
  cases++;
  try {
    const { result, trace } = checker.run(c);
    const r = result === 'ok' ? 'ok' : `#${result.fault}`;
    faults.set(r, (faults.get(r) ?? 0) + 1);
    if (trace) note(`TRACE ${c.insn.name}`, trace);
  } catch (e: any) {
    note(`THROW ${e.message.slice(0, 80)}`, describeCase(c) + '\n' + String(e.stack).split('\n').slice(1, 5).join('\n'));
  }
});
console.log(cases, 'cases', Math.round(performance.now() - t0), 'ms', [...faults].map(([k, v]) => `${k}:${v}`).join(' '));
console.log('never:', never.join('; '));
for (const [k, v] of [...errors].sort()) console.log(v.n, k, '\n     ', v.first);
