// Teaches quick-decode.ts the examples of hot-list.ts when the bundle is built, so that a run need not.

import { decode } from '../decode.ts';
import { layoutFor, viewsOf } from '../state.ts';
import { forms } from '../table.ts';
import { DecodeTables, FRAME, keyOfMode, type Learned } from './decode-tables.ts';
import { factsOf, formsOf } from './handlers.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { hotList, warmList } from './hot-list.ts';
import {
  ASKS_CLASS,
  ASKS_TEMPLATE,
  decodeModule,
  F_KEY,
  type QuickDecode,
  quickDecode,
} from './quick-decode.ts';

type Mode = 16 | 32 | 64;
const RAM_BYTES = 1 << 16;
const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

export function learnExamples(): Learned {
  const layout = layoutFor(RAM_BYTES);
  const memory = new WebAssembly.Memory({ initial: (layout.ramBase + RAM_BYTES) >>> 16 });
  const views = viewsOf(memory);
  const tables = new DecodeTables(views, layout);
  const quick = quickDecode(new WebAssembly.Module(decodeModule()), memory, tables.at);
  const learned = new Map<number, string>();
  const learn = (mode: Mode, bytes: Uint8Array) => {
    const d = decode(bytes, 0, bytes.length, mode);
    if ('failure' in d) return false;
    views.u8.set(bytes, layout.ramBase);
    const facts = factsOf(d);
    const key = askedFor(quick, tables, views.u32, layout.ramBase, mode);
    if (key !== 0) tables.learn(key, d, facts);
    learned.set(facts.id, d.key);
    return forms[d.formId]?.span === 8;
  };
  for (const line of [...hotList, ...warmList]) {
    const [mode = '', hex = ''] = line.split(' ');
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (b) => Number.parseInt(b, 16));
    const inOpcode = learn(Number(mode) as Mode, bytes);
    if (!inOpcode) continue;
    const at = opcodeAt(bytes, Number(mode) as Mode);
    for (let n = 0; n < 8; n++) {
      bytes[at] = ((bytes[at] as number) & ~7) | n;
      learn(Number(mode) as Mode, bytes);
    }
  }
  return tables.save(learned, formsOf([...hotHandlers().names, ...warmHandlers().names]));
}

/** The key of the template that the instruction at the start of RAM needs; 0: none. */
function askedFor(
  quick: QuickDecode,
  tables: DecodeTables,
  u32: Uint32Array,
  ram: number,
  mode: Mode,
): number {
  for (;;) {
    const why = quick(ram + 4096, ram, ram, ram + 4096, keyOfMode(mode, false, false), 1, 0, 1);
    const key = u32[(tables.at + FRAME + F_KEY) >> 2] as number;
    if (why === ASKS_TEMPLATE) return key;
    if (why !== ASKS_CLASS) return 0;
    tables.learnClass(key);
  }
}

function opcodeAt(bytes: Uint8Array, mode: Mode): number {
  const at = bytes.findIndex((b) => !PREFIXES.includes(b) && !(mode === 64 && (b & 0xf0) === 0x40));
  return bytes[at] === 0x0f ? at + 1 : at;
}
