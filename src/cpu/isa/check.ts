// Structural rules of a recorded meaning: reads before writes, no trace before the last fault, widths that agree.

import { type Effect, isValue, type Node, type Program, type RegRef, type Value } from './ir.ts';

/** Slow paths that end an instruction and never fault: registers may be written before them. */
const NEVER_FAULT: ReadonlySet<string> = new Set(['popf']);

/** What the walk has seen so far. */
interface Seen {
  readonly broken: string[];
  readonly program: Program;
  readonly ids: Set<number>;
  /** Addresses that a `probe` or a load for writing has made safe: `segment:address node`, with the bytes. */
  readonly safe: Map<string, number>;
  /** The first node that changed something a fault would have to undo. */
  trace: Effect | null;
  registers: boolean;
  flags: boolean;
  last: Node | null;
}

/** Sentences about what is wrong with a program; none when it is sound. */
export function checkProgram(program: Program): string[] {
  const seen: Seen = {
    broken: [],
    program,
    ids: new Set(),
    safe: new Map(),
    trace: null,
    registers: false,
    flags: false,
    last: null,
  };
  for (const node of program.nodes) visit(seen, node);
  const ends = program.nodes.some((node) => endsBlock(node));
  if (ends !== program.ends) seen.broken.push(`'ends' is ${program.ends}, its nodes say ${ends}`);
  return seen.broken;
}

function visit(seen: Seen, node: Node): void {
  const say = (what: string) => seen.broken.push(`node ${node.id} (${node.op}): ${what}`);
  if (seen.last && isFinal(seen.last)) say(`follows ${seen.last.op}, which must be last`);
  for (const operand of operandsOf(node)) {
    if (!seen.ids.has(operand.id)) say(`uses node ${operand.id}, which does not precede it`);
  }
  if (isValue(node)) for (const what of widthFaults(node)) say(what);
  if (readsWhatWasWritten(seen, node)) say('reads a register or flag after one was written');
  if (seen.trace && canFault(seen, node)) {
    say(`may fault after node ${seen.trace.id} (${seen.trace.op}) has left a trace`);
  }
  if (node.op === 'store' && node.load) {
    const { load } = node;
    if (load.op !== 'load' || !load.rmw) say('writes back what was not loaded for writing');
    else if (load.addr !== node.addr || load.seg !== node.seg) say('writes back elsewhere');
  }
  if (node.op === 'again' && seen.program.variant.rep === 'none') say('repeats without a prefix');
  remember(seen, node);
}

function remember(seen: Seen, node: Node): void {
  seen.ids.add(node.id);
  seen.last = node;
  if (node.op === 'probe') seen.safe.set(place(node.seg, node.addr), node.bytes);
  if (node.op === 'load' && node.rmw) seen.safe.set(place(node.seg, node.addr), node.width / 8);
  if (isValue(node)) return;
  if (leavesTrace(node)) seen.trace ??= node;
  if (node.op === 'setreg') seen.registers = true;
  if (node.op === 'flags' || node.op === 'setflags') seen.flags = true;
}

function leavesTrace(node: Effect): boolean {
  switch (node.op) {
    case 'setreg':
    case 'store':
    case 'flags':
    case 'setflags':
    case 'setstate':
      return true;
    default:
      return false;
  }
}

function canFault(seen: Seen, node: Node): boolean {
  switch (node.op) {
    case 'load':
      return !isSafe(seen, node.seg, node.addr, node.width / 8);
    case 'store':
      return node.load === null && !isSafe(seen, node.seg, node.addr, node.value.width / 8);
    case 'probe':
    case 'fault':
    case 'float':
    case 'linear':
      return true;
    case 'call':
      return !(node.ends && NEVER_FAULT.has(node.name));
    default:
      return false;
  }
}

function isSafe(seen: Seen, seg: string | number, addr: Value, bytes: number): boolean {
  return (seen.safe.get(place(seg, addr)) ?? 0) >= bytes;
}

function place(seg: string | number, addr: Value): string {
  return `${seg}:${addr.id}`;
}

function readsWhatWasWritten(seen: Seen, node: Node): boolean {
  if (node.op === 'getreg' || node.op === 'ea') return seen.registers;
  if (node.op === 'flag' || node.op === 'cond') return seen.flags;
  return false;
}

function endsBlock(node: Node): boolean {
  if (isFinal(node) || node.op === 'branch') return true;
  return node.op === 'fault' && node.when.op === 'const' && node.when.value === 1n;
}

function isFinal(node: Node): boolean {
  switch (node.op) {
    case 'again':
    case 'boundary':
    case 'branch':
    case 'jump':
      return true;
    case 'call':
      return node.ends;
    default:
      return false;
  }
}

/** What a value says about the widths of its operands. */
function widthFaults(v: Value): string[] {
  const faults: string[] = [];
  const expect = (ok: boolean, what: string) => {
    if (!ok) faults.push(what);
  };
  switch (v.op) {
    case 'const':
      expect(v.value >= 0n && v.value < 1n << BigInt(v.width), 'does not fit its width');
      break;
    case 'bin':
      expect(v.a.width === v.width && v.b.width === v.width, 'operands of another width');
      expect(v.width !== 1 || ['and', 'or', 'xor'].includes(v.fn), `${v.fn} of truth values`);
      break;
    case 'un':
      expect(v.a.width === v.width && v.width !== 1, 'an operand of another width');
      break;
    case 'cmp':
      expect(v.width === 1 && v.a.width === v.b.width, 'compares different widths');
      break;
    case 'cast':
      expect(v.fn === 'trunc' ? v.width < v.a.width : v.width > v.a.width, `no ${v.fn}`);
      break;
    case 'select':
      expect(v.c.width === 1 && v.a.width === v.width && v.b.width === v.width, 'widths differ');
      break;
    case 'load':
      expect(v.addr.width === 64 && v.width >= 8, 'an address or a value of odd width');
      break;
    case 'getreg':
      expect(v.reg.width === v.width && validReg(v.reg), 'a register of another width');
      break;
    default:
      break;
  }
  return faults;
}

function validReg(reg: RegRef): boolean {
  return (reg.slot >= 0 || reg.fixed !== undefined) && reg.width >= 8;
}

/** Every value that a node is computed from, or acts on. */
export function operandsOf(node: Node): readonly Value[] {
  switch (node.op) {
    case 'bin':
    case 'cmp':
    case 'float':
      return [node.a, node.b];
    case 'un':
    case 'cast':
    case 'linear':
      return [node.a];
    case 'select':
      return [node.c, node.a, node.b];
    case 'vec':
    case 'call':
      return node.args;
    case 'load':
    case 'probe':
      return [node.addr];
    case 'store':
      return node.load ? [node.addr, node.value, node.load] : [node.addr, node.value];
    case 'setreg':
    case 'setstate':
      return [node.value];
    case 'flags':
      return [node.res, node.x, node.aux];
    case 'setflags':
      return Object.values(node.set);
    case 'fault':
    case 'skip':
    case 'again':
      return [node.when];
    case 'branch':
      return node.when ? [node.when] : [];
    case 'jump':
      return [node.target];
    default:
      return [];
  }
}
