// The tree of xenstore: nodes with values, children and permissions; transactions over it, and what may be done by whom.

import type { StoreError } from './errors.ts';

/** docs/misc/xenstore.txt: who (a domain), and n(one), r(ead), w(rite), b(oth). The first entry's domain owns the node. */
export interface Permission {
  readonly who: number;
  readonly may: 'n' | 'r' | 'w' | 'b';
}

export interface StoreNode {
  /** One character a byte. */
  value: string;
  children: string[];
  perms: Permission[];
  /** Grows with each change of the node: how a transaction knows that it has seen something else. */
  generation: number;
}

export interface Transaction {
  readonly id: number;
  /** Nodes as the transaction has them; null: removed. */
  readonly nodes: Map<string, StoreNode | null>;
  /** Generations that were seen, 0 for a node that was not there. */
  readonly seen: Map<string, number>;
  /** What has changed, in order, for watches. */
  readonly changes: StoreChange[];
}

export interface StoreChange {
  readonly path: string;
  readonly removed: boolean;
}

/** Quotas of xenstored 4.17 (its command line's defaults): nodes of a domain, bytes of a value, entries of permissions. */
export const NODES_MAX = 1000;
export const VALUE_BYTES_MAX = 2048;
const PERMS_MAX = 5;
const CONTROL = 0;

export class StoreTree {
  private readonly nodes = new Map<string, StoreNode>();
  private generation = 0;

  constructor() {
    this.clear();
  }

  /** Nothing is left, and nobody is told. */
  clear(): void {
    this.nodes.clear();
    this.nodes.set('/', {
      value: '',
      children: [],
      perms: [{ who: CONTROL, may: 'n' }],
      generation: ++this.generation,
    });
  }

  /** Null: it is not there. */
  node(path: string, tx: Transaction | null): StoreNode | null {
    if (!tx) return this.nodes.get(path) ?? null;
    const held = tx.nodes.get(path);
    if (held !== undefined) return held;
    const node = this.nodes.get(path) ?? null;
    if (!tx.seen.has(path)) tx.seen.set(path, node?.generation ?? 0);
    return node;
  }

  /** What `who` wants to read or write; an error, or the node (null if it is not there, and could be made). */
  access(
    path: string,
    who: number,
    want: 'r' | 'w',
    tx: Transaction | null,
  ): StoreNode | null | StoreError {
    const node = this.node(path, tx);
    const judge = node ?? this.nearest(path, tx);
    return allows(judge.perms, who, want) ? node : 'EACCES';
  }

  /** Sets a value, making the node and those above it. An error, or ''. */
  write(path: string, value: string, who: number, tx: Transaction | null): StoreError | '' {
    if (value.length > VALUE_BYTES_MAX && who !== CONTROL) return 'ENOSPC';
    const found = this.access(path, who, 'w', tx);
    if (typeof found === 'string') return found;
    if (!found && !this.roomFor(who, tx)) return 'ENOSPC';
    if (!found) this.make(path, who, tx);
    this.put(path, { ...this.node(path, tx)!, value }, tx);
    this.changed(path, false, tx);
    return '';
  }

  mkdir(path: string, who: number, tx: Transaction | null): StoreError | '' {
    const found = this.access(path, who, 'w', tx);
    if (typeof found === 'string') return found;
    if (found) return '';
    if (!this.roomFor(who, tx)) return 'ENOSPC';
    this.make(path, who, tx);
    this.changed(path, false, tx);
    return '';
  }

  /** Removing what is not there is no error if its parent is. */
  remove(path: string, who: number, tx: Transaction | null): StoreError | '' {
    if (path === '/') return 'EINVAL';
    const found = this.access(path, who, 'w', tx);
    if (typeof found === 'string') return found;
    if (!found) return this.node(parentOf(path), tx) ? '' : 'ENOENT';
    const parent = parentOf(path);
    const above = this.node(parent, tx)!;
    const last = path.slice(path.lastIndexOf('/') + 1);
    this.put(parent, { ...above, children: above.children.filter((name) => name !== last) }, tx);
    this.drop(path, tx);
    this.changed(path, true, tx);
    return '';
  }

  setPerms(
    path: string,
    perms: readonly Permission[],
    who: number,
    tx: Transaction | null,
  ): StoreError | '' {
    const node = this.node(path, tx);
    const judge = node ?? this.nearest(path, tx);
    const owner = ownerOf(judge);
    if (who !== CONTROL && owner !== who) return 'EACCES';
    if (!node) return 'ENOENT';
    if (perms.length > PERMS_MAX && who !== CONTROL) return 'ENOSPC';
    // A node cannot be given away by others than the control domain.
    if (who !== CONTROL && perms[0]!.who !== owner) return 'EPERM';
    this.put(path, { ...node, perms: [...perms] }, tx);
    this.changed(path, false, tx);
    return '';
  }

  /** Makes what the transaction did the truth, and answers what has changed; null: something it saw has changed since. */
  commit(tx: Transaction): readonly StoreChange[] | null {
    for (const [path, generation] of tx.seen) {
      if ((this.nodes.get(path)?.generation ?? 0) !== generation) return null;
    }
    for (const [path, node] of tx.nodes) {
      if (node) this.nodes.set(path, { ...node, generation: ++this.generation });
      else this.nodes.delete(path);
    }
    return tx.changes;
  }

  save(): Record<string, StoreNode> {
    return Object.fromEntries(this.nodes);
  }

  restore(saved: Readonly<Record<string, StoreNode>>): void {
    this.nodes.clear();
    this.generation = 0;
    for (const [path, node] of Object.entries(saved)) {
      this.nodes.set(path, node);
      this.generation = Math.max(this.generation, node.generation);
    }
  }

  /** Heard of each change that is true at once. */
  onChange: (change: StoreChange) => void = () => {};

  private changed(path: string, removed: boolean, tx: Transaction | null): void {
    if (tx) tx.changes.push({ path, removed });
    else this.onChange({ path, removed });
  }

  private put(path: string, node: StoreNode, tx: Transaction | null): void {
    if (tx) tx.nodes.set(path, node);
    else this.nodes.set(path, { ...node, generation: ++this.generation });
  }

  private drop(path: string, tx: Transaction | null): void {
    const node = this.node(path, tx);
    if (!node) return;
    for (const child of node.children) this.drop(join(path, child), tx);
    if (tx) tx.nodes.set(path, null);
    else this.nodes.delete(path);
  }

  /** A new node has its parent's permissions, but belongs to whoever makes it. */
  private make(path: string, who: number, tx: Transaction | null): void {
    const parent = parentOf(path);
    if (!this.node(parent, tx)) this.make(parent, who, tx);
    const above = this.node(parent, tx)!;
    const name = path.slice(path.lastIndexOf('/') + 1);
    this.put(parent, { ...above, children: [...above.children, name] }, tx);
    const [first, ...others] = above.perms;
    const perms = who === CONTROL ? above.perms : [{ ...first!, who }, ...others];
    this.put(path, { value: '', children: [], perms: [...perms], generation: 0 }, tx);
  }

  private nearest(path: string, tx: Transaction | null): StoreNode {
    for (let at = path; at !== '/'; at = parentOf(at)) {
      const node = this.node(at, tx);
      if (node) return node;
    }
    return this.node('/', tx)!;
  }

  private roomFor(who: number, tx: Transaction | null): boolean {
    if (who === CONTROL) return true;
    let owned = 0;
    for (const node of this.nodes.values()) if (ownerOf(node) === who) owned++;
    for (const node of tx?.nodes.values() ?? []) {
      if (node !== null && ownerOf(node) === who) owned++;
    }
    return owned < NODES_MAX;
  }
}

const ownerOf = ({ perms }: StoreNode): number => perms[0]!.who;

function allows(perms: readonly Permission[], who: number, want: 'r' | 'w'): boolean {
  if (who === CONTROL || perms[0]!.who === who) return true;
  const { may } = perms.slice(1).find((entry) => entry.who === who) ?? perms[0]!;
  return may === 'b' || may === want;
}

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
export const join = (path: string, child: string): string =>
  path === '/' ? `/${child}` : `${path}/${child}`;
/** Whether `path` is `above` or below it. */
export const isWithin = (path: string, above: string): boolean =>
  path === above || above === '/' || path.startsWith(`${above}/`);
