// Tier 1 at work: hot blocks of tier 0 are gathered into regions, translated in batches, entered through their heads.

import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import type { Block } from '../interp/block-table.ts';
import type { CodeCache } from '../interp/blocks.ts';
import {
  H_COUNT,
  H_INDEX,
  H_SLOT,
  HANDLER_HEAD,
  HANDLER_REGION,
  R_HANDLER,
  R_LEFT,
  RECORD_BYTES,
} from '../interp/records.ts';
import { type Layout, MODE_KEY_FLAT, MODE_KEY_LIMIT, type State, type Views } from '../state.ts';
import { jitForm } from './forms.ts';
import { regionsModule } from './module.ts';
import type { RegionBlock, RegionSpec } from './region.ts';

/** Entries of a block before it is translated: a power of two. */
export const THRESHOLD = 2048;
/** Hot blocks in one module, which costs some 0.3 ms whatever it holds. */
export const BATCH = 48;
const REGION_INSNS = 200;
const REGION_BLOCKS = 40;
/** Blocks that have run this part of the threshold join a hot neighbour's region. */
const WARM_PART = 32;

/** WebAssembly that may be alive at once; V8 makes some ten times as much machine code of it. Then the oldest goes. */
export const MOST_BYTES = 6 << 20;
/** Each drop of a region makes its page wait for so many thresholds more, once it has had a few. */
const DROP_COSTS = 16;
export const FREE_DROPS = 8;
const PAGES_REMEMBERED = 1 << 16;

/** What was translated together: V8 frees its code when no region of it is left. */
interface Batch {
  readonly bytes: number;
  readonly regions: Region[];
  live: number;
}

interface Region {
  readonly slot: number;
  readonly blocks: readonly Block[];
  readonly batch: Batch;
  dead: boolean;
}

export interface TierParts {
  readonly views: Views;
  readonly layout: Layout;
  readonly state: State;
  readonly cache: CodeCache;
  readonly table: WebAssembly.Table;
  readonly imports: Record<string, unknown>;
  readonly firstSlot: number;
  /** Hot blocks that are gathered before they are translated, in one module. */
  readonly batch: number;
  readonly threshold: number;
  readonly mostBytes: number;
  /** Drops of a page's regions before it has to wait. */
  readonly freeDrops: number;
  slowId(name: string): number;
}

export class Tier1 {
  private regions = 0;
  private translated = 0;
  private instructions = 0;
  private modules = 0;
  private bytes = 0;
  private droppedRegions = 0;
  private readonly p: TierParts;
  private readonly queue: Block[] = [];
  private readonly queued = new Set<Block>();
  private readonly byBlock = new Map<Block, Region>();
  private readonly freeSlots: number[] = [];
  /** Oldest first. */
  private batches: Batch[] = [];
  private liveBytes = 0;
  private evicted = 0;
  private readonly patience = new Map<number, number>();

  constructor(p: TierParts) {
    this.p = p;
    for (let slot = p.table.length - 1; slot >= p.firstSlot; slot--) this.freeSlots.push(slot);
  }

  stats(): Record<string, number> {
    return {
      regions: this.regions,
      'regions dropped': this.droppedRegions,
      'blocks translated': this.translated,
      'instructions translated': this.instructions,
      modules: this.modules,
      'bytes of WebAssembly': this.bytes,
      'of them alive': this.liveBytes,
      'batches evicted': this.evicted,
    };
  }

  /** A block's head has counted to the threshold. */
  heat(head: number): void {
    const block = this.p.cache.blockAt(head);
    if (!block || this.mustWait(block.gpa >>> 12)) return;
    // Once more at each further threshold: what is as hot as that does not wait for the batch to fill.
    const waits = this.queued.has(block);
    if (!waits) {
      this.queued.add(block);
      this.queue.push(block);
    }
    if (waits || this.queue.length >= this.p.batch) this.translate();
  }

  /** The cache has dropped a block: its region is not entered again. */
  dropped(block: Block): void {
    const region = this.byBlock.get(block);
    if (!region || region.dead) return;
    if (this.patience.size >= PAGES_REMEMBERED) this.patience.clear();
    const page = block.gpa >>> 12;
    this.patience.set(page, (this.patience.get(page) ?? 0) + DROP_COSTS);
    this.drop(region);
  }

  /** A page whose code keeps changing is translated less and less often. */
  private mustWait(page: number): boolean {
    const owed = this.patience.get(page) ?? 0;
    if (owed <= DROP_COSTS * this.p.freeDrops) return false;
    this.patience.set(page, owed - 1);
    return true;
  }

  private drop(region: Region): void {
    region.dead = true;
    if (--region.batch.live === 0) this.liveBytes -= region.batch.bytes;
    this.droppedRegions++;
    this.p.table.set(region.slot, null);
    this.freeSlots.push(region.slot);
    for (const b of region.blocks) {
      this.byBlock.delete(b);
      this.resetHead(b);
    }
  }

  private translate(): void {
    const made: { spec: RegionSpec; blocks: Block[] }[] = [];
    const taken = new Set<Block>(); // A block lies in one region only: else it would outlive the drop of its bytes.
    this.queued.clear();
    for (const block of this.queue.splice(0)) {
      if (this.byBlock.has(block) || taken.has(block)) continue;
      if (!this.p.cache.isAlive(block)) continue; // Dropped since.
      const region = this.gather(block, taken);
      if (!region) continue;
      for (const b of region.blocks) taken.add(b);
      made.push(region);
    }
    if (made.length === 0) return;
    for (const { spec } of made)
      this.instructions += spec.blocks.reduce((n, b) => n + b.insns.length, 0);
    const bytes = regionsModule(
      made.map((r) => r.spec),
      { slowId: this.p.slowId },
    );
    this.makeRoom(made.length, bytes.length);
    this.bytes += bytes.length;
    this.modules++;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      e: this.p.imports,
    });
    const batch: Batch = { bytes: bytes.length, regions: [], live: 0 };
    this.batches.push(batch);
    this.liveBytes += bytes.length;
    made.forEach(({ blocks }, i) => {
      this.install(blocks, batch, exports[`r${i}`]);
    });
  }

  /** Nothing translated runs now: it is a head that asked. */
  private makeRoom(regions: number, bytes: number): void {
    this.batches = this.batches.filter((b) => b.live > 0);
    while (this.freeSlots.length < regions || this.liveBytes + bytes > this.p.mostBytes) {
      const oldest = this.batches.shift();
      if (!oldest) return;
      for (const region of oldest.regions) if (!region.dead) this.drop(region);
      this.evicted++;
    }
  }

  private install(blocks: readonly Block[], batch: Batch, code: unknown): void {
    const slot = this.freeSlots.pop();
    if (slot === undefined) return;
    this.p.table.set(slot, code);
    const region: Region = { slot, blocks, batch, dead: false };
    batch.regions.push(region);
    batch.live++;
    const { u16, i32, u32 } = this.p.views;
    blocks.forEach((b, index) => {
      this.byBlock.set(b, region);
      i32[(b.record + H_INDEX) >> 2] = index;
      u32[(b.record + H_SLOT) >> 2] = slot;
      u16[(b.record + R_HANDLER) >> 1] = HANDLER_REGION;
      this.p.cache.entryChanged(b);
    });
    this.regions++;
    this.translated += blocks.length;
  }

  private resetHead(b: Block): void {
    const { u16, i32 } = this.p.views;
    if (u16[(b.record + R_HANDLER) >> 1] !== HANDLER_REGION) return;
    u16[(b.record + R_HANDLER) >> 1] = HANDLER_HEAD;
    i32[(b.record + H_COUNT) >> 2] = 0;
    this.p.cache.entryChanged(b);
  }

  /** The blocks that can be reached from this one by jumps within the page, as far as they have run. */
  private gather(
    entry: Block,
    taken: ReadonlySet<Block>,
  ): { spec: RegionSpec; blocks: Block[] } | null {
    const mode = (entry.modeKey & 0x7f) as 16 | 32 | 64;
    if (mode === 16 || (entry.modeKey & MODE_KEY_LIMIT) !== 0) return null;
    const found = new Map<Block, RegionBlock>();
    const work = [entry];
    let insns = 0;
    for (let b = work.shift(); b; b = work.shift()) {
      if (found.has(b) || (b !== entry && (this.byBlock.has(b) || taken.has(b) || !this.isWarm(b))))
        continue;
      const more = this.p.views.u8[b.record + R_LEFT] as number;
      if (insns + more > REGION_INSNS || found.size >= REGION_BLOCKS) continue;
      const region = this.read(b, mode);
      if (!region) continue;
      found.set(b, region);
      insns += region.insns.length;
      if (region.leaves) continue;
      for (const to of targets(region)) this.visit(b, to, work);
      // The targets of an indirect jump gain by lying in its region.
      if (isSwitch(region)) work.push(...this.p.cache.blocksNear(b));
    }
    if (!found.has(entry)) return null;
    const sorted = [...found].sort((a, b) => a[1].offset - b[1].offset);
    const blocks = sorted.map(([, r]) => r);
    const flat = (entry.modeKey & MODE_KEY_FLAT) !== 0;
    return {
      spec: { blocks, mode, flat, place: this.placeOf(entry) },
      blocks: sorted.map(([b]) => b),
    };
  }

  private placeOf({ gpa, modeKey }: Block) {
    return { page: (gpa & ~0xfff) >>> 0, modeKey, jumpCache: this.p.layout.engine };
  }

  private visit(from: Block, offset: number, work: Block[]): void {
    if (offset < 0 || offset >= 4096) return;
    const record = this.p.cache.find((from.gpa & ~0xfff) + offset, from.modeKey);
    const to = record === 0 ? undefined : this.p.cache.blockAt(record);
    if (to) work.push(to);
  }

  private isWarm(b: Block): boolean {
    const { u16, i32 } = this.p.views;
    return (
      u16[(b.record + R_HANDLER) >> 1] === HANDLER_HEAD &&
      (i32[(b.record + H_COUNT) >> 2] as number) >= this.p.threshold / WARM_PART
    );
  }

  /** The block's instructions, decoded again; null if it cannot be translated. */
  private read(b: Block, mode: 32 | 64): RegionBlock | null {
    if (b.gpa2 >= 0) return null;
    const { u8 } = this.p.views;
    const count = u8[b.record + R_LEFT] as number;
    const insns: Decoded[] = [];
    let at = this.p.layout.ramBase + b.gpa;
    for (let n = 0; n < count; n++) {
      const d = decode(u8, at, at + 15, mode, (b.modeKey & 0x80) !== 0);
      if ('failure' in d || !translatable(d)) return null;
      insns.push(d);
      at += d.length;
    }
    const last = at - this.p.layout.ramBase - (insns.at(-1)?.length ?? 0);
    return {
      insns,
      offset: b.gpa & 0xfff,
      head: b.record,
      record: b.record + RECORD_BYTES,
      last: b.last,
      leaves: this.p.cache.isAlone(last),
    };
  }
}

/** What can be left in the middle, and at its end by a branch too, is tier 0's: its record has no place for both chains. */
function translatable(d: Decoded): boolean {
  const form = jitForm(d);
  return !(form.skips && form.branches);
}

/** Offsets in the page to which the block can go by itself. */
function targets(b: RegionBlock): number[] {
  const end = b.offset + b.insns.reduce((sum, d) => sum + d.length, 0);
  const last = b.insns.at(-1);
  if (!last) return [];
  const { branches, fallsThrough, program } = jitForm(last);
  if (!branches) return fallsThrough ? [end] : [];
  const always = program.nodes.some((n) => n.op === 'branch' && n.when === null);
  const target = end + last.immLo[0];
  // A function of this page comes back.
  const returns = last.insn.name === 'call' && target >= 0 && target < 4096;
  return always && !returns ? [target] : [end, target];
}

/** It ends in an indirect jump, whose targets are mostly near. */
function isSwitch({ insns }: RegionBlock): boolean {
  const last = insns.at(-1);
  return last?.insn.name === 'jmp' && jitForm(last).program.nodes.some((n) => n.op === 'jump');
}
