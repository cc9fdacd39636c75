// xenstore as a whole: one tree, the guest's connection to it, and the back ends of the host that watch it.

import type { Plain, SnapshotSlots } from '../../../machine/snapshot.ts';
import {
  isWithin,
  type Permission,
  type StoreChange,
  StoreTree,
  type Transaction,
} from './tree.ts';

const CONTROL = 0;
/** Host events that one request may cause, through back ends that write in answer: far above what any set of devices needs. */
const EVENTS_MAX = 1000;

interface HostWatch {
  readonly path: string;
  readonly fire: (path: string) => void;
}

export class Store {
  readonly tree = new StoreTree();
  /** The guest's connection hears of every change that has become true. */
  guestChange: (change: StoreChange) => void = () => {};
  private readonly hostWatches: HostWatch[] = [];
  private readonly pending: StoreChange[] = [];
  private running = false;

  constructor(snapshots: SnapshotSlots) {
    this.tree.onChange = (change) => this.changed(change);
    snapshots.add('xen.store', {
      save: () => this.tree.save() as unknown as Plain,
      restore: (saved) => this.tree.restore(saved as unknown as ReturnType<StoreTree['save']>),
    });
  }

  /** Host side: no permission is asked. Empty if it is not there. */
  read(path: string): string {
    return this.tree.node(path, null)?.value ?? '';
  }

  has(path: string): boolean {
    return this.tree.node(path, null) !== null;
  }

  list(path: string): readonly string[] {
    return this.tree.node(path, null)?.children ?? [];
  }

  write(path: string, value: string, perms?: readonly Permission[]): void {
    this.tree.write(path, value, CONTROL, null);
    if (perms) this.tree.setPerms(path, perms, CONTROL, null);
  }

  /** Everything is gone, and neither the guest nor a back end hears of it. */
  clear(): void {
    this.tree.clear();
    this.pending.length = 0;
  }

  remove(path: string): void {
    this.tree.remove(path, CONTROL, null);
  }

  /** `fire` hears of changes at or below `path`, never while the change is being made. */
  watch(path: string, fire: (path: string) => void): void {
    this.hostWatches.push({ path, fire });
  }

  commit(tx: Transaction): boolean {
    const changes = this.tree.commit(tx);
    if (!changes) return false;
    for (const change of changes) this.changed(change);
    return true;
  }

  private changed(change: StoreChange): void {
    this.guestChange(change);
    if (this.pending.length < EVENTS_MAX) this.pending.push(change);
  }

  /** Back ends act on what has happened; what they change in turn is told as well. Called when a request is done. */
  settle(): void {
    if (this.running) return;
    this.running = true;
    for (let n = 0; n < EVENTS_MAX; n++) {
      const change = this.pending.shift();
      if (!change) break;
      for (const { path, fire } of this.hostWatches) {
        if (isWithin(change.path, path) || (change.removed && isWithin(path, change.path)))
          fire(change.path);
      }
    }
    this.pending.length = 0;
    this.running = false;
  }
}
