// Blocks that WebAssembly finds and makes by itself, against those that the code cache makes: all that is kept of them.

import { expect, it } from 'vitest';
import { FIELDS } from '../state.ts';
import { createMachine, partsOf, writeRam } from '../testing/machine.ts';
import { Random } from '../testing/random.ts';
import { WORLD } from '../testing/world.ts';
import { DESCRIPTOR_BYTES, tablePlaces } from './block-table.ts';
import { MAX_BLOCK } from './blocks.ts';
import { tablesAt } from './decode-tables.ts';
import { Interpreter } from './engine.ts';
import { hotList } from './hot-list.ts';
import { JUMP_SLOT_BYTES, JUMP_SLOTS } from './lookup.ts';
import { decoderModule } from './modules.ts';
import { quickDecode } from './quick-decode.ts';
import { quickFind } from './quick-find.ts';
import { RECORD_BYTES } from './records.ts';

const CODE = WORLD.code.at;
const BYTES = 2 * 4096;

function side(setup: 'long' | 'protected', tiered: boolean) {
  const machine = createMachine(setup);
  const modeKey = machine.state.get(FIELDS.modeKey);
  const { cache } = new Interpreter(partsOf(machine), { tiered });
  const { memory, layout, mmu } = machine;
  const made = { quickly: 0, slowly: 0 };
  /** As the engine does it. */
  const slowly = (gpa: number): number => {
    made.slowly++;
    const known = cache.find(gpa, modeKey);
    if (known === 0) cache.makeRoom();
    const record = known === 0 ? cache.decode(gpa, modeKey, () => -1) : known;
    if (record !== 0) cache.remember(record);
    return record;
  };
  let wanted = 0;
  const find = quickFind({
    memory,
    layout,
    decode: quickDecode(decoderModule(), memory, tablesAt(layout)),
    heads: tiered,
    maxBlock: MAX_BLOCK,
    find: () => slowly(wanted),
    markFrame: (frame) => cache.markFrame(frame),
  });
  const quickly = (gpa: number): number => {
    made.quickly++;
    machine.state.setVa(FIELDS.rip, gpa);
    wanted = mmu.fetch(gpa);
    return find(0);
  };
  return { machine, cache, made, slowly, quickly };
}

type Side = ReturnType<typeof side>;

/** Jump cache, table and pool up to the end of the last block. */
function kept({ machine, cache }: Side, last: number): Buffer[] {
  const { layout, views } = machine;
  const places = tablePlaces(layout);
  const end = (cache.blockAt(last)?.last ?? 0) + RECORD_BYTES;
  const parts = [
    [layout.engine, layout.engine + JUMP_SLOTS * JUMP_SLOT_BYTES],
    [places.seen, places.end],
    [places.end + (MAX_BLOCK + 3) * RECORD_BYTES, end],
    [layout.frameAttrs, layout.frameAttrs + (layout.ramBytes >>> 12)],
  ];
  return parts.map(([from, to]) => Buffer.from(views.u8.slice(from, to)));
}

it.each([
  ['long', true],
  ['protected', true],
  ['long', false],
] as const)('leaves what the code cache leaves (%s, heads: %s)', (setup, tiered) => {
  const random = new Random(7);
  const [a, b] = [side(setup, tiered), side(setup, tiered)];
  const mode = setup === 'long' ? '64' : '32';
  const lines = hotList.filter((line) => line.startsWith(mode)).slice(0, 50);
  const examples = lines.map((line) => [...Buffer.from(line.split(' ')[1] ?? '', 'hex')]);
  const bytes: number[] = [];
  while (bytes.length < BYTES) bytes.push(...random.pick(examples));
  for (const { machine } of [a, b]) writeRam(machine, CODE, bytes.slice(0, BYTES));
  let last = 0;
  for (let n = 0; n < 800; n++) {
    const gpa = CODE + random.below(BYTES - 32);
    const found = a.quickly(gpa);
    b.machine.mmu.fetch(gpa); // Its walk leaves marks on frames.
    expect(found).toBe(b.slowly(gpa));
    if (found > last) last = found;
    if (random.chance(5)) {
      const at = CODE + random.below(BYTES);
      for (const { cache } of [a, b]) cache.written(at, 4);
    }
  }
  expect(last).toBeGreaterThan(DESCRIPTOR_BYTES);
  expect(a.cache.decoded).toBe(b.cache.decoded);
  kept(a, last).forEach((part, n) => {
    expect(part.equals(kept(b, last)[n] as Buffer), `part ${n}`).toBe(true);
  });
  expect(a.made.slowly).toBeLessThan(a.made.quickly / 3);
});
