// Prints IR as text, one node a line: for golden tests, docs and whoever debugs an instruction.

import { type Effect, isValue, type Node, type RegRef, type SegRef, type Value } from './ir.ts';

const GPR64 = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');

/** The nodes in order: `v3:32 = add v1, v2` for a value, `store ...` for an effect. `regs`: what operand slots name. */
export function printProgram(nodes: readonly Node[], regs: readonly number[] = []): string[] {
  return nodes.map((n) =>
    isValue(n) ? `${nameOf(n)}:${n.width} = ${valueText(n, regs)}` : effectText(n, regs),
  );
}

function nameOf(n: Node): string {
  return `v${n.id}`;
}

const list = (values: readonly Node[]): string => values.map(nameOf).join(', ');

function registerText(r: RegRef, regs: readonly number[]): string {
  const n = r.fixed ?? regs[r.slot];
  if (n === undefined) return `${r.file}[slot ${r.slot}]:${r.width}`;
  if (r.file !== 'gpr') return `${r.file}${n}:${r.width}`;
  if (n >= 16) return `${['ah', 'ch', 'dh', 'bh'][n - 16]}`;
  return `${GPR64[n] ?? `r${n}`}:${r.width}`;
}

function memoryText(seg: SegRef, address: Value): string {
  if (seg === -1) return `linear[${nameOf(address)}]`;
  return `${seg === 'operand' ? 'operand' : SEGMENTS[seg]}[${nameOf(address)}]`;
}

function valueText(v: Value, regs: readonly number[]): string {
  switch (v.op) {
    case 'const':
      return `const ${v.width === 1 ? v.value : `0x${v.value.toString(16)}`}`;
    case 'imm':
      return `imm ${v.n}`;
    case 'ea':
    case 'next':
      return v.op;
    case 'bin':
    case 'cmp':
      return `${v.fn} ${list([v.a, v.b])}`;
    case 'un':
    case 'cast':
      return `${v.fn} ${nameOf(v.a)}`;
    case 'select':
      return `select ${nameOf(v.c)} ? ${nameOf(v.a)} : ${nameOf(v.b)}`;
    case 'vec':
      return `${v.fn} ${list(v.args)}${v.lanes.length > 0 ? ` [${v.lanes.join(' ')}]` : ''}`;
    case 'float':
      return `float.${v.fn} ${v.shape} ${list([v.a, v.b])}`;
    case 'getreg':
      return registerText(v.reg, regs);
    case 'regno':
      return `number of operand ${v.slot}`;
    case 'linear':
      return `linear ${memoryText(v.seg, v.a)} ${v.bytes} bytes${v.writes ? ', written' : ''}`;
    case 'load':
      return `load ${memoryText(v.seg, v.addr)}${v.rmw ? ', written back' : ''}${v.aligned ? ', aligned' : ''}`;
    case 'flag':
      return `flag ${v.flag}`;
    case 'cond':
      return `cond ${CONDITIONS[v.cc]}`;
    case 'getstate':
      return `state.${v.field}`;
    case 'result':
      return `result ${v.n} of ${nameOf(v.call)}`;
  }
}

function effectText(e: Effect, regs: readonly number[]): string {
  switch (e.op) {
    case 'setreg':
      return `${registerText(e.reg, regs)} := ${nameOf(e.value)}`;
    case 'store':
      return `store ${memoryText(e.seg, e.addr)} := ${nameOf(e.value)}${e.load ? `, over ${nameOf(e.load)}` : ''}${e.aligned ? ', aligned' : ''}`;
    case 'probe':
      return `probe ${memoryText(e.seg, e.addr)} ${e.bytes} bytes`;
    case 'flags':
      return `flags := ${e.fn}${e.res.width} res ${nameOf(e.res)}, x ${nameOf(e.x)}, aux ${nameOf(e.aux)}`;
    case 'setflags':
      return `flags: ${Object.entries(e.set)
        .map(([flag, v]) => `${flag} := ${nameOf(v)}`)
        .join(', ')}`;
    case 'setstate':
      return `state.${e.field} := ${nameOf(e.value)}`;
    case 'fault':
      return `fault ${e.vector}${e.error === null ? '' : `(${e.error})`} when ${nameOf(e.when)}`;
    case 'call':
      return `${nameOf(e)} = call ${e.name}(${list(e.args)})${e.ends ? ', ends' : ''}`;
    case 'skip':
    case 'again':
      return `${e.op} when ${nameOf(e.when)}`;
    case 'branch':
      return `branch to immediate ${e.n}${e.when ? ` when ${nameOf(e.when)}` : ''}`;
    case 'boundary':
      return 'boundary';
    case 'jump':
      return `jump ${nameOf(e.target)}`;
    case 'bulk':
      return `bulk ${e.fn} by ${e.bytes}`;
  }
}
