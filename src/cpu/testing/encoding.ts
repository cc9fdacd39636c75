// Random machine code for a given form of the instruction table. The decoder has the last word on what is valid.

import type { Form } from '../isa/define.ts';
import type { Random } from './random.ts';

/** Bytes of a candidate, the tail random (immediates), and where its displacement lies. */
export interface Candidate {
  readonly bytes: number[];
  readonly dispAt: number;
  readonly dispBytes: number;
}

interface Pattern {
  /** `NP`, a mandatory prefix, or neither. */
  readonly prefix: 'none' | number | null;
  readonly w: 0 | 1 | null;
  readonly opcode: readonly number[];
  /** The last opcode byte has a register or a condition in its low bits: how many values. */
  readonly plus: number;
  readonly modrm: 'r' | number | null;
  readonly exact: number | null;
  readonly plusI: boolean;
}

const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const TAIL_BYTES = 12;

export function parsePattern(op: string): Pattern {
  let [prefix, w, plus, plusI]: [Pattern['prefix'], Pattern['w'], number, boolean] = [
    null,
    null,
    1,
    false,
  ];
  let [modrm, exact]: [Pattern['modrm'], number | null] = [null, null];
  const opcode: number[] = [];
  for (const token of op.split(' ')) {
    if (token === 'NP') prefix = 'none';
    else if (opcode.length === 0 && /^(66|F2|F3)$/.test(token)) prefix = Number.parseInt(token, 16);
    else if (token === 'W0' || token === 'W1') w = token === 'W1' ? 1 : 0;
    else if (token === '/r') modrm = 'r';
    else if (/^\/[0-7]$/.test(token)) modrm = Number(token[1]);
    else if (token.startsWith('=')) {
      exact = Number.parseInt(token.slice(1, 3), 16);
      plusI = token.endsWith('+i');
    } else {
      opcode.push(Number.parseInt(token.slice(0, 2), 16));
      plus = token.endsWith('+r') ? 8 : token.endsWith('+cc') ? 16 : 1;
    }
  }
  return { prefix, w, opcode, plus, modrm, exact, plusI };
}

export function randomEncoding(form: Form, mode: 16 | 32 | 64, random: Random): Candidate {
  const p = parsePattern(form.op);
  const prefixes = randomPrefixes(form, p, random);
  const bytes = [...prefixes];
  if (mode === 64) bytes.push(...randomRex(p, random));
  bytes.push(...p.opcode.slice(0, -1));
  bytes.push((p.opcode.at(-1) ?? 0) + random.below(p.plus));
  const addressSize = addressSizeOf(mode, prefixes.includes(0x67));
  let place = { dispAt: bytes.length, dispBytes: form.args.includes('O') ? addressSize / 8 : 0 };
  if (p.exact !== null) bytes.push(p.exact + (p.plusI ? random.below(8) : 0));
  else if (p.modrm !== null) {
    const reg = p.modrm === 'r' ? random.below(8) : p.modrm;
    const start = bytes.length;
    const tail = addressSize === 16 ? modrm16(reg, random) : modrm32(reg, random);
    bytes.push(...tail.bytes);
    place = { dispAt: start + tail.bytes.length - tail.dispBytes, dispBytes: tail.dispBytes };
  }
  for (let n = 0; n < TAIL_BYTES; n++) bytes.push(random.pick([0, 1, 0xff, random.below(256)]));
  return { bytes, ...place };
}

export function addressSizeOf(mode: 16 | 32 | 64, has67: boolean): 16 | 32 | 64 {
  if (!has67) return mode;
  return mode === 32 ? 16 : 32;
}

function randomPrefixes(form: Form, p: Pattern, random: Random): number[] {
  const out: number[] = [];
  if (typeof p.prefix === 'number') out.push(p.prefix);
  if (p.prefix === null && random.chance(25)) out.push(0x66);
  if (form.rep && random.chance(75))
    out.push(form.rep === 'repcc' ? random.pick([0xf2, 0xf3]) : 0xf3);
  if (form.lock && random.chance(30)) out.push(0xf0);
  if (random.chance(12)) out.push(0x67);
  if (random.chance(15)) out.push(random.pick(SEGMENT_PREFIXES));
  return out;
}

function randomRex(p: Pattern, random: Random): number[] {
  const w = p.w ?? (random.chance(40) ? 1 : 0);
  const rest = random.chance(50) ? random.below(8) : 0;
  return w || rest || random.chance(20) ? [0x40 | (w << 3) | rest] : [];
}

interface ModRm {
  readonly bytes: number[];
  readonly dispBytes: number;
}

function modrm32(reg: number, random: Random): ModRm {
  const mod = random.pick([0, 0, 1, 2, 3, 3]);
  const rm = random.below(8);
  const bytes = [(mod << 6) | (reg << 3) | rm];
  if (mod === 3) return { bytes, dispBytes: 0 };
  let absolute = mod === 0 && rm === 5;
  if (rm === 4) {
    const sib = random.below(256);
    bytes.push(sib);
    absolute = mod === 0 && (sib & 7) === 5;
  }
  return withDisplacement(bytes, absolute || mod === 2 ? 4 : mod, random);
}

function modrm16(reg: number, random: Random): ModRm {
  const mod = random.pick([0, 0, 1, 2, 3, 3]);
  const rm = random.below(8);
  const bytes = [(mod << 6) | (reg << 3) | rm];
  if (mod === 3) return { bytes, dispBytes: 0 };
  return withDisplacement(bytes, (mod === 0 && rm === 6) || mod === 2 ? 2 : mod, random);
}

function withDisplacement(bytes: number[], dispBytes: number, random: Random): ModRm {
  for (let n = 0; n < dispBytes; n++) bytes.push(random.below(256));
  return { bytes, dispBytes };
}
