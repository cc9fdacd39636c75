// The guest's ring to xenstore: messages cut out of its bytes, answered in order, events in between.

import type { Plain } from '../../../machine/snapshot.ts';
import { XENSTORE_PAYLOAD_MAX, xenstoreDomainInterface, xsdSockmsg } from '../abi/io.ts';
import { logOnce, type XenDomain } from '../domain.ts';
import { openHostPort, raise } from '../events.ts';
import { distance } from '../ring-index.ts';
import { answer, type Connection, type Watch, XS } from './requests.ts';
import type { Store } from './store.ts';
import { isWithin, type StoreChange, type StoreNode, type Transaction } from './tree.ts';

const RING = xenstoreDomainInterface.wide;
const RING_BYTES = 1024;
const HEADER = xsdSockmsg.wide;
const END = 'store';
/** Unread output beyond this drops events: a guest that does not read cannot make the host keep more. */
const OUTPUT_MAX = 1 << 20;
/** XENSTORE_ERROR_PROTO (xs_wire.h) */
const ERROR_PROTO = 3;

interface ServerState {
  page: number;
  port: number;
  /** Bytes of a message that is not complete, and answers that the ring had no room for. */
  input: string;
  output: string;
  /** The guest has broken the protocol: it is heard no more. */
  dead: boolean;
}

export interface StoreRing {
  /**
   * Serves the guest whose ring is in the page at that RAM address: a new connection, without watches or transactions.
   * Answers its port.
   */
  open(page: number): number;
}

export function storeRing(domain: XenDomain, store: Store): StoreRing {
  const state: ServerState = { page: -1, port: 0, input: '', output: '', dead: false };
  const connection: Connection = {
    store,
    domid: domain.id,
    transactions: new Map(),
    watches: [],
    nextId: 1,
    event: (watch, path) => queueEvent(domain, state, watch, path),
  };
  domain.platform.snapshots.add('xen.store.connection', slot(state, connection));
  domain.ends.set(END, () => serve(domain, state, connection));
  store.guestChange = (change) => tellWatches(connection, change);
  return {
    open(page) {
      connection.watches.length = 0;
      connection.transactions.clear();
      Object.assign(state, { page, port: openHostPort(domain, END) });
      Object.assign(state, { input: '', output: '', dead: false });
      return state.port;
    },
  };
}

/** Requests that one notification may bring: the ring's bytes, at the least that a message has. */
function serve(domain: XenDomain, state: ServerState, connection: Connection): void {
  if (state.dead) return;
  const { ram } = domain.platform;
  const { page } = state;
  const consAt = page + RING.offsetOf('req_cons');
  const prod = ram.u32(page + RING.offsetOf('req_prod'));
  const waiting = distance(prod, ram.u32(consAt), RING_BYTES);
  for (let n = waiting; n > 0; n--) {
    state.input += String.fromCharCode(ram.u8(page + ((prod - n) & (RING_BYTES - 1))));
  }
  ram.setU32(consAt, prod);
  while (takeMessage(domain, state, connection)) {}
  connection.store.settle();
  flush(domain, state);
  if (waiting > 0) raise(domain, state.port);
}

function takeMessage(domain: XenDomain, state: ServerState, connection: Connection): boolean {
  const { input } = state;
  if (input.length < HEADER.size) return false;
  const u32 = (at: number) =>
    (input.charCodeAt(at) |
      (input.charCodeAt(at + 1) << 8) |
      (input.charCodeAt(at + 2) << 16) |
      (input.charCodeAt(at + 3) << 24)) >>>
    0;
  const [type, id, tx, length] = [u32(0), u32(4), u32(8), u32(12)];
  if (length > XENSTORE_PAYLOAD_MAX) {
    state.dead = true;
    state.input = '';
    domain.platform.ram.setU32(state.page + RING.offsetOf('error'), ERROR_PROTO);
    logOnce(domain, `xenstore: a message of ${length} bytes: the guest is heard no more`);
    return false;
  }
  if (input.length < HEADER.size + length) return false;
  state.input = input.slice(HEADER.size + length);
  const { error, payload } = answer(
    connection,
    type,
    tx,
    input.slice(HEADER.size, HEADER.size + length),
  );
  if (error) queue(state, XS.ERROR, id, tx, `${error}\0`);
  else queue(state, type, id, tx, payload);
  return true;
}

function tellWatches(connection: Connection, { path, removed }: StoreChange): void {
  for (const watch of connection.watches) {
    if (isWithin(path, watch.path)) connection.event(watch, path);
    // Of a tree that goes, those who watch within hear as well, of their own place.
    else if (removed && isWithin(watch.path, path)) connection.event(watch, watch.path);
  }
}

/** The path is told in the form in which the watch was set: a relative one stays relative. */
function queueEvent(
  domain: XenDomain,
  state: ServerState,
  { given, path, token }: Watch,
  at: string,
): void {
  if (state.output.length > OUTPUT_MAX) return;
  const told = given + at.slice(path.length);
  queue(state, XS.WATCH_EVENT, 0, 0, `${told}\0${token}\0`);
  flush(domain, state);
  raise(domain, state.port);
}

function queue(state: ServerState, type: number, id: number, tx: number, payload: string): void {
  const header = [type, id, tx, payload.length];
  for (const word of header) {
    state.output += String.fromCharCode(
      word & 0xff,
      (word >>> 8) & 0xff,
      (word >>> 16) & 0xff,
      word >>> 24,
    );
  }
  state.output += payload;
}

/** As much as the ring takes; the rest goes when the guest says that it has read. */
function flush(domain: XenDomain, state: ServerState): void {
  const { ram } = domain.platform;
  const prodAt = state.page + RING.offsetOf('rsp_prod');
  let prod = ram.u32(prodAt);
  const used = (prod - ram.u32(state.page + RING.offsetOf('rsp_cons'))) >>> 0;
  const room = used > RING_BYTES ? 0 : RING_BYTES - used;
  const count = Math.min(room, state.output.length);
  for (let n = 0; n < count; n++, prod++) {
    ram.setU8(
      state.page + RING.offsetOf('rsp') + (prod & (RING_BYTES - 1)),
      state.output.charCodeAt(n),
    );
  }
  state.output = state.output.slice(count);
  ram.setU32(prodAt, prod >>> 0);
}

interface SavedConnection {
  readonly state: ServerState;
  readonly watches: readonly Watch[];
  readonly nextId: number;
  readonly transactions: readonly {
    readonly id: number;
    readonly nodes: readonly { readonly path: string; readonly node: StoreNode | false }[];
    readonly seen: readonly { readonly path: string; readonly generation: number }[];
    readonly changes: readonly StoreChange[];
  }[];
}

function slot(state: ServerState, connection: Connection) {
  return {
    save(): Plain {
      const transactions = Array.from(connection.transactions.values(), saveTransaction);
      const saved = {
        state: { ...state },
        watches: [...connection.watches],
        nextId: connection.nextId,
        transactions,
      };
      return saved as unknown as Plain;
    },
    restore(plain: Plain): void {
      const saved = plain as unknown as SavedConnection;
      Object.assign(state, saved.state);
      connection.watches.splice(0, connection.watches.length, ...saved.watches);
      connection.nextId = saved.nextId;
      connection.transactions.clear();
      for (const { id, nodes, seen, changes } of saved.transactions) {
        connection.transactions.set(id, {
          id,
          nodes: new Map(nodes.map(({ path, node }) => [path, node || null])),
          seen: new Map(seen.map(({ path, generation }) => [path, generation])),
          changes: [...changes],
        });
      }
    },
  };
}

function saveTransaction({ id, nodes, seen, changes }: Transaction) {
  return {
    id,
    nodes: Array.from(nodes, ([path, node]) => ({ path, node: node ?? false })),
    seen: Array.from(seen, ([path, generation]) => ({ path, generation })),
    changes: [...changes],
  };
}
