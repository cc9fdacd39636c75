// What a guest may ask of xenstore: one function per kind of message, from payload to payload.

import type { StoreError } from './errors.ts';
import type { Store } from './store.ts';
import type { Permission, StoreNode, Transaction } from './tree.ts';

/** enum xsd_sockmsg_type (xen/include/public/io/xs_wire.h). */
export const XS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
} as const;

const ABS_PATH_MAX = 3072;
const REL_PATH_MAX = 2048;
const WATCHES_MAX = 128;
const TRANSACTIONS_MAX = 10;
const PAYLOAD_MAX = 4096;
/** Of a path of the tree: letters, digits and -/_@ (xenstore.txt). */
const PATH_LETTERS = /^[A-Za-z0-9\-/_@]*$/;
const OK = 'OK\0';

export interface Watch {
  /** As it was given, and as it is in the tree. */
  readonly given: string;
  readonly path: string;
  readonly token: string;
}

/** One guest's connection. */
export interface Connection {
  readonly store: Store;
  readonly domid: number;
  readonly transactions: Map<number, Transaction>;
  readonly watches: Watch[];
  /** The next transaction's number. */
  nextId: number;
  /** Queues an event for the guest. */
  event(watch: Watch, path: string): void;
}

export interface Reply {
  readonly error?: StoreError;
  readonly payload: string;
}

type Handler = (c: Connection, payload: string, tx: Transaction | null) => Reply;

const fail = (error: StoreError): Reply => ({ error, payload: '' });
const reply = (payload: string): Reply => ({ payload });
const done = (error: StoreError | ''): Reply => (error === '' ? reply(OK) : fail(error));

const HANDLERS: Readonly<Record<number, Handler>> = {
  [XS.DIRECTORY]: (c, payload, tx) =>
    reading(c, payload, tx, ({ children }) => {
      const names = children.map((name) => `${name}\0`).join('');
      return names.length > PAYLOAD_MAX ? fail('E2BIG') : reply(names);
    }),
  [XS.DIRECTORY_PART]: directoryPart,
  [XS.READ]: (c, payload, tx) => reading(c, payload, tx, ({ value }) => reply(value)),
  [XS.GET_PERMS]: (c, payload, tx) =>
    reading(c, payload, tx, ({ perms }) =>
      reply(perms.map(({ who, may }) => `${may}${who}\0`).join('')),
    ),
  [XS.WRITE]: (c, payload, tx) => {
    const end = payload.indexOf('\0');
    const path = end < 0 ? null : canonical(c, payload.slice(0, end));
    if (path === null) return fail('EINVAL');
    return done(c.store.tree.write(path, payload.slice(end + 1), c.domid, tx));
  },
  [XS.MKDIR]: (c, payload, tx) =>
    onPath(c, payload, (path) => done(c.store.tree.mkdir(path, c.domid, tx))),
  [XS.RM]: (c, payload, tx) =>
    onPath(c, payload, (path) => done(c.store.tree.remove(path, c.domid, tx))),
  [XS.SET_PERMS]: setPerms,
  [XS.WATCH]: watch,
  [XS.UNWATCH]: unwatch,
  [XS.RESET_WATCHES]: (c) => {
    c.watches.length = 0;
    c.transactions.clear();
    return reply(OK);
  },
  [XS.TRANSACTION_START]: startTransaction,
  [XS.TRANSACTION_END]: () => fail('EINVAL'), // Answered before: it needs the number.
  [XS.GET_DOMAIN_PATH]: (_c, payload) => {
    const domid = wholeNumber(strip(payload) ?? '');
    return domid === null ? fail('EINVAL') : reply(`/local/domain/${domid}\0`);
  },
  [XS.IS_DOMAIN_INTRODUCED]: (c, payload) => {
    const domid = wholeNumber(strip(payload) ?? '');
    if (domid === null) return fail('EINVAL');
    return reply(domid === 0 || domid === c.domid ? 'T\0' : 'F\0');
  },
  [XS.CONTROL]: () => fail('EACCES'),
  [XS.INTRODUCE]: () => fail('EACCES'),
  [XS.RELEASE]: () => fail('EACCES'),
  [XS.RESUME]: () => fail('EACCES'),
  [XS.SET_TARGET]: () => fail('EACCES'),
};

export function answer(c: Connection, type: number, txId: number, payload: string): Reply {
  const handler = Object.hasOwn(HANDLERS, type) ? HANDLERS[type] : undefined;
  if (!handler) return fail('ENOSYS');
  const tx = txId === 0 ? null : c.transactions.get(txId);
  if (tx === undefined) return fail('ENOENT');
  if (type === XS.TRANSACTION_END) return endTransaction(c, tx, payload);
  return handler(c, payload, tx);
}

/** A path in the tree, from one that may be relative to the guest's own; null if it is none. */
function canonical({ domid }: Connection, given: string): string | null {
  if (!PATH_LETTERS.test(given) || given === '') return null;
  const relative = !given.startsWith('/');
  if (given.length > (relative ? REL_PATH_MAX : ABS_PATH_MAX)) return null;
  if (given.startsWith('@')) return null;
  const path = relative ? `/local/domain/${domid}/${given}` : given;
  if (path === '/') return path;
  return path.endsWith('/') || path.includes('//') ? null : path;
}

/** A payload that is one string with its NUL. */
function strip(payload: string): string | null {
  return payload.endsWith('\0') && payload.indexOf('\0') === payload.length - 1
    ? payload.slice(0, -1)
    : null;
}

function onPath(c: Connection, payload: string, act: (path: string) => Reply): Reply {
  const given = strip(payload);
  const path = given === null ? null : canonical(c, given);
  return path === null ? fail('EINVAL') : act(path);
}

function reading(
  c: Connection,
  payload: string,
  tx: Transaction | null,
  act: (node: StoreNode) => Reply,
): Reply {
  return onPath(c, payload, (path) => {
    const node = c.store.tree.access(path, c.domid, 'r', tx);
    if (node === null) return fail('ENOENT');
    return typeof node === 'string' ? fail(node) : act(node);
  });
}

/** Path and offset; what comes back begins with the node's generation, and ends with an empty name at the end of the list. */
function directoryPart(c: Connection, payload: string, tx: Transaction | null): Reply {
  const [given = '', offset = '', ...rest] = payload.split('\0');
  const from = wholeNumber(offset);
  if (from === null || rest.length !== 1 || rest[0] !== '') return fail('EINVAL');
  return reading(c, `${given}\0`, tx, ({ children, generation }) => {
    const head = `${generation}\0`;
    const names = `${children.map((name) => `${name}\0`).join('')}\0`;
    const part = names.slice(from, from + PAYLOAD_MAX - head.length);
    return reply(head + part.slice(0, part.lastIndexOf('\0') + 1));
  });
}

function setPerms(c: Connection, payload: string, tx: Transaction | null): Reply {
  const [given = '', ...letters] = payload.split('\0');
  const path = canonical(c, given);
  if (path === null || letters.pop() !== '' || letters.length === 0) return fail('EINVAL');
  const perms: Permission[] = [];
  for (const text of letters) {
    const [, may, who] = /^([nrwb])(\d{1,5})$/.exec(text) ?? [];
    if (may === undefined) return fail('EINVAL');
    perms.push({ may: may as Permission['may'], who: Number(who) });
  }
  return done(c.store.tree.setPerms(path, perms, c.domid, tx));
}

/** The first event comes at once, whether the node is there or not. */
function watch(c: Connection, payload: string): Reply {
  const asked = watchOf(c, payload);
  if (!asked) return fail('EINVAL');
  if (find(c, asked) >= 0) return fail('EEXIST');
  if (c.watches.length >= WATCHES_MAX) return fail('E2BIG');
  c.watches.push(asked);
  c.event(asked, asked.path);
  return reply(OK);
}

function unwatch(c: Connection, payload: string): Reply {
  const asked = watchOf(c, payload);
  const at = asked ? find(c, asked) : -1;
  if (at < 0) return fail(asked ? 'ENOENT' : 'EINVAL');
  c.watches.splice(at, 1);
  return reply(OK);
}

const find = (c: Connection, { path, token }: Watch): number =>
  c.watches.findIndex((held) => held.path === path && held.token === token);

function watchOf(c: Connection, payload: string): Watch | null {
  const [given = '', token = '', rest, ...more] = payload.split('\0');
  if (rest !== '' || more.length > 0) return null;
  const special = /^@(introduceDomain|releaseDomain)$/.test(given);
  const path = special ? given : canonical(c, given);
  return path === null ? null : { given, path, token };
}

function startTransaction(c: Connection, _payload: string, tx: Transaction | null): Reply {
  if (tx) return fail('EBUSY');
  if (c.transactions.size >= TRANSACTIONS_MAX) return fail('ENOSPC');
  const id = c.nextId;
  c.nextId = (c.nextId % 0xffff_ffff) + 1;
  c.transactions.set(id, { id, nodes: new Map(), seen: new Map(), changes: [] });
  return reply(`${id}\0`);
}

function endTransaction(c: Connection, tx: Transaction | null, payload: string): Reply {
  if (!tx) return fail('ENOENT');
  if (payload !== 'T\0' && payload !== 'F\0') return fail('EINVAL');
  c.transactions.delete(tx.id);
  if (payload === 'F\0') return reply(OK);
  return c.store.commit(tx) ? reply(OK) : fail('EAGAIN');
}

function wholeNumber(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}
