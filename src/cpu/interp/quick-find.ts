// The engine's `find` in WebAssembly where the address has no block yet and quick-decode.ts can make one: blocks.ts says what a block is.

import { FRAME_CODE, FRAME_MMIO } from '../frames.ts';
import { FIELDS, type Layout, MODE_KEY_FLAT, MODE_KEY_LIMIT, MODE_KEY_STACK } from '../state.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import {
  D_END,
  D_END2,
  D_GPA,
  D_GPA2,
  D_LAST,
  D_MODE_KEY,
  D_NEXT,
  DESCRIPTOR_BYTES,
  GRANULE_SHIFT,
  NO_PAGE,
  SEEN_HASH,
  SEEN_SHIFT,
  tablePlaces,
} from './block-table.ts';
import { FRAME, KEY_32, KEY_64, KEY_STACK, KEY_VALID, tablesAt } from './decode-tables.ts';
import {
  emitFetchEntry,
  emitJumpCacheKey,
  emitJumpCacheSlot,
  emitLinear,
  JUMP_ENTRY,
  JUMP_SLOT_BYTES,
} from './lookup.ts';
import { moduleOf, type PlacedCode } from './placed-code.ts';
import {
  ENDS_BRANCH,
  ENDS_FALL,
  F_AT,
  F_DECODED,
  F_FROM,
  F_POOL,
  F_POOL_LAST,
  type QuickDecode,
  READ_AHEAD,
} from './quick-decode.ts';
import {
  HANDLER_END,
  HANDLER_HEAD,
  R_CHAINABLE,
  R_HANDLER,
  R_LEFT,
  R_NEXT,
  R_TARGET,
  RECORD_BYTES,
} from './records.ts';

const PAGE = 4096;

export interface FindParts {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly decode: QuickDecode;
  readonly heads: boolean;
  readonly maxBlock: number;
  /** The engine's: asked for all that is not done here, before anything has changed. */
  find(patch: number): number;
  markFrame(frame: number): void;
}

/** `(patch) -> record`, as the engine's `find`. */
export function quickFind(p: FindParts): (patch: number) => number {
  const { memory, decode, find, markFrame } = p;
  const e = { memory, decode, find, markFrame };
  const { exports } = new WebAssembly.Instance(moduleOf(findCode(p)), { e });
  return exports.find as (patch: number) => number;
}

export function findCode(p: Pick<FindParts, 'layout' | 'heads' | 'maxBlock'>): PlacedCode {
  const { layout, heads, maxBlock } = p;
  const key = JSON.stringify(['find', layout, heads, maxBlock]);
  return { key, generate: () => findModule(layout, heads, maxBlock) };
}

function findModule(layout: Layout, heads: boolean, maxBlock: number): Uint8Array {
  const m = new ModuleBuilder();
  const type = m.type(['i32'], ['i32']);
  const find = m.importFunction('e', 'find', ['i32'], ['i32']);
  const markFrame = m.importFunction('e', 'markFrame', ['i32'], []);
  const params = Array.from({ length: 8 }, () => 'i32' as const);
  const decode = m.importFunction('e', 'decode', params, ['i32']);
  m.importMemory('e', 'memory', 1);
  const finder = new Finder(layout, { find, markFrame, decode }, heads, maxBlock);
  m.addFunction(type, finder.emit().body(), 'find');
  return m.encode();
}

class Finder {
  private readonly c = new Code(1);
  private readonly patch = 0;
  readonly st = this.c.take('i32');
  readonly rip = this.c.take('i64');
  readonly lin = this.c.take('i64');
  readonly t = this.c.take('i32');
  readonly u = this.c.take('i32');
  private readonly modeKey = this.c.take('i32');
  private readonly gpa = this.c.take('i32');
  private readonly page = this.c.take('i32');
  private readonly seen = this.c.take('i32');
  /** First record of the block; of its first instruction; behind its last one. */
  private readonly first = this.c.take('i32');
  private readonly begin = this.c.take('i32');
  private readonly at = this.c.take('i32');
  private readonly why = this.c.take('i32');
  private readonly layout: Layout;
  private readonly functions: { find: number; markFrame: number; decode: number };
  private readonly heads: boolean;
  private readonly maxBlock: number;
  private readonly frame: number;
  private declined = 0;

  constructor(
    layout: Layout,
    functions: { find: number; markFrame: number; decode: number },
    heads: boolean,
    maxBlock: number,
  ) {
    this.layout = layout;
    this.functions = functions;
    this.heads = heads;
    this.maxBlock = maxBlock;
    this.frame = tablesAt(layout) + FRAME;
  }

  emit(): Code {
    const { c } = this;
    c.i32(this.layout.state).set(this.st);
    this.declined = c.block();
    this.emitAddress();
    this.emitUnlessKnown();
    this.emitDecode();
    this.emitCountDown();
    if (this.heads) this.emitHead();
    this.emitEnd();
    this.emitTable();
    this.emitRemember();
    c.get(this.patch).iff();
    c.get(this.patch).get(this.first).mem('i32.store', 0).end();
    c.get(this.first).op('return');
    c.end();
    return c.get(this.patch).call(this.functions.find);
  }

  /** RIP's address in RAM through the fetch TLB, in a page behind which there is enough to read. */
  private emitAddress(): void {
    const { c, layout, t } = this;
    this.load(F_POOL);
    this.load(F_POOL_LAST).op('i32.gt_u').brIf(this.declined);
    c.get(this.st).mem('i32.load', FIELDS.modeKey.at).tee(this.modeKey);
    c.i32(MODE_KEY_LIMIT).op('i32.and').brIf(this.declined);
    c.get(this.st).mem('i64.load', FIELDS.rip.at).set(this.rip);
    emitLinear(c, this, this.rip);
    emitFetchEntry(c, this);
    c.mem('i64.load', 0).get(this.lin).i64(-4096n).op('i64.and').op('i64.ne').brIf(this.declined);
    c.get(t).mem('i32.load', 8).tee(this.page);
    c.i32(layout.ramBytes - PAGE - READ_AHEAD)
      .op('i32.gt_u')
      .brIf(this.declined);
    this.pushAttributes().i32(FRAME_MMIO).op('i32.and').brIf(this.declined);
  }

  /** The jump cache does not have it, and no block of the page begins there. */
  private emitUnlessKnown(): void {
    const { c, t, u } = this;
    const places = tablePlaces(this.layout);
    const unknown = c.block();
    c.get(this.page);
    emitJumpCacheKey(c, this);
    c.get(t).set(this.gpa);
    emitJumpCacheSlot(c, this, () => c.i32(this.layout.engine), unknown);
    c.br(this.declined);
    c.end();
    c.get(this.gpa).i32(SEEN_HASH).op('i32.mul').i32(SEEN_SHIFT).op('i32.shr_u').tee(t);
    c.i32(3).op('i32.shr_u').tee(this.seen).mem('i32.load8_u', places.seen);
    c.get(t).i32(7).op('i32.and').op('i32.shr_u').i32(1).op('i32.and').iff();
    this.pushNewest().set(u);
    const end = c.block();
    const next = c.loop();
    c.get(u).op('i32.eqz').brIf(end);
    c.get(u).i32(DESCRIPTOR_BYTES).op('i32.sub').tee(u);
    c.mem('i32.load', D_GPA * 4)
      .get(this.gpa)
      .op('i32.eq');
    c.get(u)
      .mem('i32.load', D_MODE_KEY * 4)
      .get(this.modeKey)
      .op('i32.eq');
    c.op('i32.and').brIf(this.declined);
    // A block that begins in another page is in this list too, by its other link: JavaScript walks there.
    c.get(u)
      .mem('i32.load', D_GPA * 4)
      .get(this.page)
      .op('i32.xor')
      .i32(12)
      .op('i32.shr_u');
    c.brIf(this.declined);
    c.get(u)
      .mem('i32.load', D_NEXT * 4)
      .set(u)
      .br(next);
    c.end().end().end();
  }

  private emitDecode(): void {
    const { c, t } = this;
    this.load(F_POOL).i32(DESCRIPTOR_BYTES).op('i32.add').tee(this.first);
    c.i32(this.heads ? RECORD_BYTES : 0)
      .op('i32.add')
      .tee(this.begin);
    this.pushHost(this.gpa);
    this.pushHost(this.page).tee(t);
    c.get(t).i32(PAGE).op('i32.add');
    this.pushKeyOfMode();
    c.get(this.modeKey).i32(MODE_KEY_FLAT).op('i32.and').i32(0).op('i32.ne');
    c.i32(0).i32(this.maxBlock).call(this.functions.decode).tee(this.why);
    c.i32(ENDS_BRANCH).op('i32.gt_u').brIf(this.declined);
    this.load(F_AT).set(this.at);
  }

  private emitCountDown(): void {
    const { c, t, u } = this;
    c.get(this.at).set(t).i32(0).set(u);
    const next = c.loop();
    c.get(t).i32(RECORD_BYTES).op('i32.sub').tee(t);
    c.get(u).i32(1).op('i32.add').tee(u).mem('i32.store8', R_LEFT);
    c.get(t).get(this.begin).op('i32.gt_u').brIf(next);
    c.end();
  }

  /** As `writeHead`. */
  private emitHead(): void {
    const { c, first } = this;
    c.get(first).get(this.begin).mem('i64.load', 0).mem('i64.store', 0);
    for (const at of [8, 16, 24]) c.get(first).i64(0n).mem('i64.store', at);
    c.get(first).i32(HANDLER_HEAD).mem('i32.store16', R_HANDLER);
  }

  /** As `writeEnd`, where the block falls through. */
  private emitEnd(): void {
    const { c, at, t } = this;
    c.get(this.why).i32(ENDS_FALL).op('i32.eq').iff();
    this.load(F_FROM);
    this.pushHost(this.page).op('i32.sub').set(t);
    for (const offset of [0, 8, 16, 24]) c.get(at).i64(0n).mem('i64.store', offset);
    c.get(at).i32(HANDLER_END).mem('i32.store16', R_HANDLER);
    c.get(at).get(t).mem('i32.store16', R_NEXT);
    c.get(at).get(t).i32(PAGE).op('i32.lt_u').mem('i32.store8', R_CHAINABLE);
    c.get(at).get(t).mem('i32.store', R_TARGET);
    c.get(at).i32(RECORD_BYTES).op('i32.add').set(at);
    c.end();
    c.i32(this.frame).get(at).mem('i32.store', F_POOL);
    c.i32(this.frame);
    this.load(F_DECODED).i32(1).op('i32.add').mem('i32.store', F_DECODED);
  }

  /** As `BlockTable.add`. */
  private emitTable(): void {
    const { c, t, u } = this;
    const places = tablePlaces(this.layout);
    const word = (n: number, push: () => void) => {
      c.get(this.first).i32(DESCRIPTOR_BYTES).op('i32.sub');
      push();
      c.mem('i32.store', n * 4);
    };
    this.load(F_FROM).i32(this.layout.ramBase).op('i32.sub').set(t);
    word(D_NEXT, () => this.pushNewest());
    word(D_GPA, () => c.get(this.gpa));
    word(D_END, () => c.get(t));
    word(D_GPA2, () => c.i32(NO_PAGE));
    word(D_END2, () => c.i32(NO_PAGE));
    word(D_MODE_KEY, () => c.get(this.modeKey));
    word(D_LAST, () => {
      c.get(this.at).i32(RECORD_BYTES).op('i32.sub').get(this.why).op('i32.or');
    });
    c.get(this.page).i32(10).op('i32.shr_u').get(this.first).mem('i32.store', places.newest);
    c.get(this.seen);
    c.get(this.seen).mem('i32.load8_u', places.seen);
    c.i32(1).get(this.gpa).i32(SEEN_HASH).op('i32.mul').i32(SEEN_SHIFT).op('i32.shr_u');
    c.i32(7).op('i32.and').op('i32.shl').op('i32.or').mem('i32.store8', places.seen);
    // Granules, from that of the first byte to that of the last.
    c.get(t).i32(1).op('i32.sub').i32(GRANULE_SHIFT).op('i32.shr_u').set(t);
    c.get(this.gpa).i32(GRANULE_SHIFT).op('i32.shr_u').set(u);
    const next = c.loop();
    c.get(u).i32(3).op('i32.shr_u');
    c.get(u).i32(3).op('i32.shr_u').mem('i32.load8_u', places.granules);
    c.i32(1).get(u).i32(7).op('i32.and').op('i32.shl').op('i32.or');
    c.mem('i32.store8', places.granules);
    c.get(u).i32(1).op('i32.add').tee(u).get(t).op('i32.le_u').brIf(next);
    c.end();
    this.pushAttributes().i32(FRAME_CODE).op('i32.and').op('i32.eqz').iff();
    c.get(this.page).i32(12).op('i32.shr_u').call(this.functions.markFrame).end();
  }

  /** As `JumpCache.remember`: no translated code begins with a new block. */
  private emitRemember(): void {
    const { c, u } = this;
    const set = c.block();
    // Neither slot has this key: `u` becomes the second.
    c.get(this.gpa).set(this.t);
    emitJumpCacheSlot(c, this, () => c.i32(this.layout.engine), set);
    c.op('drop').end();
    c.get(u).i32(JUMP_SLOT_BYTES).op('i32.sub').tee(u);
    for (const at of [0, 8])
      c.get(u)
        .get(u)
        .mem('i64.load', at)
        .mem('i64.store', JUMP_SLOT_BYTES + at);
    c.get(u).get(this.lin).mem('i64.store', 0);
    c.get(u).get(this.first).mem('i32.store', 8);
    c.get(u).i32(0).mem('i32.store', JUMP_ENTRY);
  }

  private pushKeyOfMode(): void {
    const { c } = this;
    const size = () => c.get(this.modeKey).i32(0x7f).op('i32.and');
    c.i32(KEY_64).i32(KEY_32).i32(0);
    size().i32(32).op('i32.eq').op('select');
    size().i32(64).op('i32.eq').op('select');
    c.i32(KEY_STACK).i32(0).get(this.modeKey).i32(MODE_KEY_STACK).op('i32.and').op('select');
    c.op('i32.or').i32(KEY_VALID).op('i32.or');
  }

  private load(at: number): Code {
    return this.c.i32(this.frame).mem('i32.load', at);
  }

  private pushHost(gpa: number): Code {
    return this.c.get(gpa).i32(this.layout.ramBase).op('i32.add');
  }

  private pushNewest(): Code {
    const { newest } = tablePlaces(this.layout);
    return this.c.get(this.page).i32(10).op('i32.shr_u').mem('i32.load', newest);
  }

  private pushAttributes(): Code {
    const { c } = this;
    return c.get(this.page).i32(12).op('i32.shr_u').mem('i32.load8_u', this.layout.frameAttrs);
  }
}
