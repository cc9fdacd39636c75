import { instructions } from '../table.ts';
import { describeCase, forEveryForm, prepareCase, type Case } from './cases.ts';
import { registersOf } from './compare.ts';
import { createMachine, readRam, type StepResult } from './machine.ts';
import { referenceEngine } from './engines.ts';
import { pristineRam } from './world.ts';
import { execFileSync } from 'node:child_process';
import { writeFileSync, readFileSync } from 'node:fs';
const per = Number(process.argv[2] ?? 4);
const filter = process.argv[3] || '.*';
const seed = Number(process.argv[4] ?? 1);
const maskAll = process.argv[5] === 'mask';
const SKIP = /^(syscall|sysenter|sysexit|sysret|int|int1|int3|into|cpuid|rdtsc|rdtscp|rdrand|rdseed|xgetbv|xsetbv|xsave.*|xrstor.*|fxsave.*|fxrstor.*|pushf|popf|iret|callf|jmpf|retf|lss|lfs|lgs|lds|les|s[gi]dt|smsw|sldt|str|verr|verw|lar|lsl|rdfsbase|rdgsbase|wrfsbase|wrgsbase|rdpid|rdpmc|vmcall|vmmcall|monitor.*|mwait.*|enter|in|ins|out|outs|hlt|ud2|ud1|ud0|clac|stac|f?nstenv|f?nsave|fldenv|frstor|sha.*|prefetch.*|fstenv|fsave)$/;
const m = createMachine('long-user');
const cases: Case[] = []; const ins: Buffer[] = [];
const expected: { regs: Map<string, bigint>; result: StepResult; ram: Map<number, number>; cr2: bigint; fx: Buffer }[] = [];
const base = pristineRam();
function fxOf(): Buffer {
  const b = Buffer.alloc(512); const s = m.state;
  b.writeUInt16LE(s.get('fcw'), 0); b.writeUInt16LE(s.get('fsw'), 2); b.writeUInt8(s.get('ftw') & 0xff, 4);
  b.writeUInt32LE(s.get('mxcsr'), 24); b.writeUInt32LE(0xffff, 28);
  const top = (s.get('fsw') >> 11) & 7;
  for (let n = 0; n < 8; n++) b.set(m.views.u8.subarray(s.base + 0x400 + ((top + n) & 7) * 16, s.base + 0x400 + ((top + n) & 7) * 16 + 10), 32 + n * 16);
  b.set(m.views.u8.subarray(s.base + 0x300, s.base + 0x400), 160);
  return b;
}
const stringy = /^(movs|stos|lods|scas|cmps)/;
forEveryForm(instructions, { seed, perForm: per, setups: ['long-user'], only: (i) => !SKIP.test(i.name) && !i.privileged && new RegExp(`^(${filter})$`).test(i.name) }, (c) => {
  if (c.d.segment === 4) return;
  if (/[SCD][dw]/.test(c.form.args.split(',')[0] ?? '') && /^(mov|pop|push)$/.test(c.insn.name)) return;
  if (/^(FS|GS)$/.test(c.form.args)) return;
  prepareCase(m, c);
  if (c.insn.name.startsWith('mov') && /S/.test(c.form.args)) return;
  const b = Buffer.alloc(680);
  b.writeUInt32LE(c.bytes.length, 0); b.writeBigUInt64LE(BigInt(c.at), 8); b.set(c.bytes, 16);
  for (let n = 0; n < 16; n++) b.writeBigUInt64LE(m.state.gpr(n), 32 + 8 * n);
  const fl = BigInt((m.state.get('eflags') & 0x400) | Number(registersOf(m).get('flags')));
  b.writeBigUInt64LE(fl, 160); b.set(fxOf(), 168);
  let result: StepResult;
  try { result = referenceEngine.step(m); } catch (e: any) { console.log('THROW', e.message, describeCase(c)); return; }
  cases.push(c); ins.push(b);
  const ram = new Map<number, number>(); const now = readRam(m, 0, 0x68000);
  for (let k = 0x8000; k < 0x68000; k++) if (now[k] !== base[k] && !(k >= c.at && k < c.at + c.bytes.length && now[k] === c.bytes[k - c.at])) ram.set(k, now[k]!);
  expected.push({ regs: registersOf(m), result, ram, cr2: m.state.get64('faultAddress'), fx: fxOf() });
});
writeFileSync('/tmp/refwork/in.bin', Buffer.concat([base, ...ins]));
execFileSync('/tmp/refwork/native', ['/tmp/refwork/in.bin', '/tmp/refwork/out.bin'], { stdio: 'inherit' });
const out = readFileSync('/tmp/refwork/out.bin');
const SIZE = 1704; const errors = new Map<string, { n: number; first: string }>();
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const BITS = { cf: 1, pf: 4, af: 16, zf: 64, sf: 128, of: 2048 } as const;
let skipped = 0, agreed = 0;
const hex = (x: bigint | number | undefined) => (x ?? -1).toString(16);
cases.forEach((c, i) => {
  const o = out.subarray(i * SIZE, (i + 1) * SIZE); const e = expected[i]!;
  const trap = o.readUInt32LE(144), err = o.readUInt32LE(148), cr2 = o.readBigInt64LE(152);
  if (trap === 14 && (cr2 < 0n || (cr2 >= 0x50000n && cr2 < 0x51000n))) { skipped++; return; }
  const dump = `${describeCase(c)}\n       in: ` + NAMES.map((n, k) => `${n}=${hex(ins[i]!.readBigUInt64LE(32 + 8 * k))}`).filter((x) => 1).slice(0, 9).join(' ') + ` fl=${hex(ins[i]!.readBigUInt64LE(160))}`;
  const say = (what: string, text: string) => { const k = `${c.insn.name} ${c.form.op}: ${what}`; const x = errors.get(k); if (x) x.n++; else errors.set(k, { n: 1, first: `${text}  | ${dump}` }); };
  const got = e.result === 'ok' ? 1 : e.result.fault;
  if (got !== trap) return say('trap', `ours #${got} native #${trap} err ${err} cr2 ${hex(cr2)}`);
  if (trap === 14 && e.result !== 'ok') { if ((e.result.error! & ~1) !== (err & ~1) ) return say('err', `${e.result.error} ${err}`); if (e.cr2 !== BigInt.asUintN(64, cr2)) return say('cr2', `${hex(e.cr2)} ${hex(cr2)}`); }
  let bad = false;
  NAMES.forEach((n, k) => { const v = o.readBigUInt64LE(8 * k); if (v !== e.regs.get(n)) { bad = true; say(n, `ours ${hex(e.regs.get(n))} native ${hex(v)}`); } });
  if (o.readBigUInt64LE(128) !== e.regs.get('rip')) { bad = true; say('rip', `ours ${hex(e.regs.get('rip'))} native ${hex(o.readBigUInt64LE(128))}`); }
  const fl = Number(o.readBigUInt64LE(136)); let mask = 0;
  for (const [n, b] of Object.entries(BITS)) if (e.result !== 'ok' || c.insn.flags?.[n as 'cf'] !== 'u') mask |= b;
  const diff = (fl ^ Number(e.regs.get('flags'))) & mask;
  if (diff) { bad = true; say('flags ' + Object.entries(BITS).filter(([, b]) => diff & b).map(([n]) => n), `ours ${hex(e.regs.get('flags'))} native ${hex(fl & 0x8d5)}`); }
  if ((fl ^ Number(e.regs.get('eflags'))) & 0x400) say('df', '');
  for (let n = 0; n < 16; n++) { const v = o.readBigUInt64LE(160 + 160 + 16 * n) | (o.readBigUInt64LE(160 + 168 + 16 * n) << 64n); if (v !== e.regs.get(`xmm${n}`)) { bad = true; say(`xmm`, `xmm${n} ours ${hex(e.regs.get(`xmm${n}`))} native ${hex(v)} in ${hex(ins[i]!.readBigUInt64LE(168+160+16*n+8))} ${hex(ins[i]!.readBigUInt64LE(168+160+16*n))} xmm${n} mxcsr ${hex(ins[i]!.readUInt32LE(168+24))}`); break; } }
  const fx = o.subarray(160, 160 + 512);
  for (const [what, at, len] of [['fcw', 0, 2], ['fsw', 2, 2], ['ftw', 4, 1], ['mxcsr', 24, 4]] as const) if (!fx.subarray(at, at + len).equals(e.fx.subarray(at, at + len))) { bad = true; say(what, `ours ${e.fx.subarray(at, at + len).toString('hex')} native ${fx.subarray(at, at + len).toString('hex')} in ${ins[i]!.subarray(168+at,168+at+len).toString('hex')}`); }
  for (let n = 0; n < 8; n++) if (!fx.subarray(32 + 16 * n, 42 + 16 * n).equals(e.fx.subarray(32 + 16 * n, 42 + 16 * n))) { bad = true; say(`st`, `st${n} ours ${Buffer.from(e.fx.subarray(32 + 16 * n, 42 + 16 * n)).reverse().toString('hex')} native ${Buffer.from(fx.subarray(32 + 16 * n, 42 + 16 * n)).reverse().toString('hex')} in st0 ${Buffer.from(ins[i]!.subarray(200,210)).reverse().toString('hex')} st1 ${Buffer.from(ins[i]!.subarray(216,226)).reverse().toString('hex')} fcw ${ins[i]!.subarray(168,170).toString('hex')} ftw ${ins[i]!.subarray(172,173).toString('hex')}`); break; }
  const n = o.readUInt32LE(672); const mem = new Map<number, number>();
  for (let k = 0; k < n; k++) mem.set(o.readUInt32LE(680 + 8 * k), o.readUInt32LE(684 + 8 * k));
  for (const [a, v] of mem) if (e.ram.get(a) !== v) { bad = true; say('mem', `at ${hex(a)} ours ${hex(e.ram.get(a) ?? base[a])} native ${hex(v)}`); break; }
  for (const [a, v] of e.ram) if (!mem.has(a)) { bad = true; say('mem', `at ${hex(a)} ours ${hex(v)} native unchanged`); break; }
  if (!bad) agreed++;
});
console.log(`${cases.length} cases, ${agreed} agree, ${skipped} skipped`);
for (const [k, v] of [...errors].sort()) console.log(v.n, k, ':', v.first);
