// xenstore over its ring: values, permissions, watches, transactions, quotas, and guests that break the protocol.

import { describe, expect, it } from 'vitest';
import { xenstoreDomainInterface } from '../abi/io.ts';
import { channelAt, send } from '../events.ts';
import { testDomain } from '../testing/domain.ts';
import { XS } from './requests.ts';
import { storeRing } from './server.ts';
import { Store } from './store.ts';
import { writeDomain } from './toolstack.ts';

const RING = xenstoreDomainInterface.wide;

interface Message {
  readonly type: number;
  readonly id: number;
  readonly text: string;
}

function guest() {
  const { domain, platform } = testDomain();
  const { ram } = platform;
  const store = new Store(platform.snapshots);
  const page = domain.guest.hostFrame();
  const port = storeRing(domain, store).open(page);
  writeDomain(store, platform, { consolePort: 2, consoleFrame: 2, storePort: port, storeFrame: 1 });
  let id = 0;
  const notify = () => send(domain, port, channelAt(domain, port)!);
  const at = (name: 'req_prod' | 'rsp_prod' | 'rsp_cons' | 'error') => page + RING.offsetOf(name);
  const write = (bytes: Uint8Array) => {
    for (const byte of bytes) {
      const prod = ram.u32(at('req_prod'));
      ram.setU8(page + (prod & 1023), byte);
      ram.setU32(at('req_prod'), prod + 1);
      if (((prod + 1) & 511) === 0) notify();
    }
    notify();
  };
  let unread = '';
  const read = (): Message[] => {
    for (let more = true; more; ) {
      const [prod, cons] = [ram.u32(at('rsp_prod')), ram.u32(at('rsp_cons'))];
      more = prod !== cons;
      for (let n = cons; n !== prod; n++)
        unread += String.fromCharCode(ram.u8(page + 1024 + (n & 1023)));
      ram.setU32(at('rsp_cons'), prod);
      if (more) notify();
    }
    const out: Message[] = [];
    while (unread.length >= 16) {
      const u32 = (n: number) =>
        new DataView(
          Uint8Array.from(unread.slice(n, n + 4), (c) => c.charCodeAt(0)).buffer,
        ).getUint32(0, true);
      const length = u32(12);
      if (unread.length < 16 + length) break;
      out.push({ type: u32(0), id: u32(4), text: unread.slice(16, 16 + length) });
      unread = unread.slice(16 + length);
    }
    return out;
  };
  const message = (type: number, payload: string, tx = 0, length = payload.length) => {
    const bytes = new Uint8Array(16 + payload.length);
    const view = new DataView(bytes.buffer);
    [type, ++id, tx, length].forEach((word, n) => {
      view.setUint32(n * 4, word, true);
    });
    for (let n = 0; n < payload.length; n++) bytes[16 + n] = payload.charCodeAt(n);
    write(bytes);
  };
  /** The reply's text, `!ENOENT` for an error. */
  const ask = (type: number, payload: string, tx = 0): string => {
    message(type, payload, tx);
    const reply = read().find((m) => m.id === id)!;
    return reply.type === XS.ERROR ? `!${reply.text.replace('\0', '')}` : reply.text;
  };
  return { store, ask, message, read, notify, ram, at, domain };
}

describe('nodes', () => {
  it('are read and written below the guest, by relative and absolute paths', () => {
    const { ask } = guest();
    expect(ask(XS.READ, 'domid\0')).toBe('1');
    expect(ask(XS.READ, '/local/domain/1/domid\0')).toBe('1');
    expect(ask(XS.WRITE, 'data/a/b\0value')).toBe('OK\0');
    expect(ask(XS.READ, 'data/a/b\0')).toBe('value');
    expect(ask(XS.DIRECTORY, 'data\0')).toBe('a\0');
    expect(ask(XS.DIRECTORY_PART, 'data\x000\0')).toMatch(/^\d+\0a\0\0$/);
    expect(ask(XS.GET_DOMAIN_PATH, '1\0')).toBe('/local/domain/1\0');
    expect(ask(XS.IS_DOMAIN_INTRODUCED, '7\0')).toBe('F\0');
  });

  it('that are not there are ENOENT, and go with those below them', () => {
    const { ask } = guest();
    ask(XS.MKDIR, 'data/a/b/c\0');
    expect(ask(XS.RM, 'data/a\0')).toBe('OK\0');
    expect([
      ask(XS.READ, 'data/a/b/c\0'),
      ask(XS.RM, 'data/a\0'),
      ask(XS.RM, 'data/x/y\0'),
    ]).toEqual(['!ENOENT', 'OK\0', '!ENOENT']);
    expect(ask(XS.DIRECTORY, 'data\0')).toBe('');
    expect(ask(XS.RM, '/\0')).toBe('!EINVAL');
  });

  it.each(['', 'a//b', 'a/', '/a b', 'ä', '@x', 'x'.repeat(2049)])('have no path %j', (path) => {
    expect(guest().ask(XS.READ, `${path}\0`)).toBe('!EINVAL');
  });

  it('without a NUL behind the path, or with two strings, are refused', () => {
    const { ask } = guest();
    expect([ask(XS.READ, 'domid'), ask(XS.READ, 'domid\0x\0'), ask(XS.WRITE, 'data')]).toEqual([
      '!EINVAL',
      '!EINVAL',
      '!EINVAL',
    ]);
  });

  it('of the toolstack cannot be written, those of nobody not be read', () => {
    const { ask, store } = guest();
    store.write('/secret', 'x');
    expect(ask(XS.WRITE, 'domid\x005')).toBe('!EACCES');
    expect(ask(XS.WRITE, '/tool\0x')).toBe('!EACCES');
    expect([ask(XS.READ, '/secret\0'), ask(XS.READ, '/nothing\0')]).toEqual(['!EACCES', '!EACCES']);
  });

  it('have permissions that their owner sets, and no other', () => {
    const { ask } = guest();
    ask(XS.WRITE, 'data/x\0');
    expect(ask(XS.SET_PERMS, 'data/x\0n1\0r0\0')).toBe('OK\0');
    expect(ask(XS.GET_PERMS, 'data/x\0')).toBe('n1\0r0\0');
    expect(ask(XS.SET_PERMS, 'data/x\0n0\0')).toBe('!EPERM');
    expect(ask(XS.SET_PERMS, 'domid\0b1\0')).toBe('!EACCES');
    expect(ask(XS.SET_PERMS, 'data/x\0q1\0')).toBe('!EINVAL');
  });

  it('end with quotas: ENOSPC', () => {
    const { ask } = guest();
    expect(ask(XS.WRITE, `data/x\0${'v'.repeat(2049)}`)).toBe('!ENOSPC');
    let last = '';
    for (let n = 0; n < 1001 && last !== '!ENOSPC'; n++) last = ask(XS.MKDIR, `data/n${n}\0`);
    expect(last).toBe('!ENOSPC');
  });

  it.each([XS.CONTROL, XS.INTRODUCE, XS.RELEASE, XS.RESUME, XS.SET_TARGET])(
    'request %i is for the control domain',
    (type) => {
      expect(guest().ask(type, '\0')).toBe('!EACCES');
    },
  );

  it.each([XS.WATCH_EVENT, XS.ERROR, 20, 23, 0xffff])('request %i is none', (type) => {
    expect(guest().ask(type, '\0')).toBe('!ENOSYS');
  });
});

describe('watches', () => {
  it('fire at once, and for each change at or below, in the form they were set', () => {
    const { ask, message, read, store } = guest();
    message(XS.WATCH, 'data/w\0token\0');
    expect(read().map(({ type, text }) => [type, text])).toEqual([
      [XS.WATCH_EVENT, 'data/w\0token\0'],
      [XS.WATCH, 'OK\0'],
    ]);
    store.write('/local/domain/1/data/w/x', '1');
    expect(read().map(({ text }) => text)).toEqual(['data/w/x\0token\0']);
    store.remove('/local/domain/1/data');
    expect(read().map(({ text }) => text)).toEqual(['data/w\0token\0']);
    expect(ask(XS.UNWATCH, 'data/w\0token\0')).toBe('OK\0');
    store.write('/local/domain/1/data/w', '1');
    expect(read()).toEqual([]);
  });

  it('exist once each, 128 in all, until they are reset', () => {
    const { ask } = guest();
    for (let n = 0; n < 128; n++) expect(ask(XS.WATCH, `data\0t${n}\0`)).toBe('OK\0');
    expect([ask(XS.WATCH, 'data\0t0\0'), ask(XS.WATCH, 'data\0t\0')]).toEqual([
      '!EEXIST',
      '!E2BIG',
    ]);
    expect(ask(XS.UNWATCH, 'data\0none\0')).toBe('!ENOENT');
    expect(ask(XS.RESET_WATCHES, '\0')).toBe('OK\0');
    expect(ask(XS.WATCH, 'data\0t0\0')).toBe('OK\0');
  });
});

describe('a transaction', () => {
  const start = (ask: ReturnType<typeof guest>['ask']) =>
    Number(ask(XS.TRANSACTION_START, '\0').replace('\0', ''));

  it('is seen by itself only, until it ends well', () => {
    const { ask } = guest();
    const tx = start(ask);
    ask(XS.WRITE, 'data/t\x001', tx);
    expect([ask(XS.READ, 'data/t\0', tx), ask(XS.READ, 'data/t\0')]).toEqual(['1', '!ENOENT']);
    expect(ask(XS.TRANSACTION_END, 'T\0', tx)).toBe('OK\0');
    expect(ask(XS.READ, 'data/t\0')).toBe('1');
  });

  it('is EAGAIN if what it read has changed, and nothing if it is given up', () => {
    const { ask, store } = guest();
    const tx = start(ask);
    ask(XS.READ, 'data/t\0', tx);
    ask(XS.WRITE, 'data/u\x001', tx);
    store.write('/local/domain/1/data/t', '2');
    expect(ask(XS.TRANSACTION_END, 'T\0', tx)).toBe('!EAGAIN');
    const other = start(ask);
    ask(XS.WRITE, 'data/u\x001', other);
    expect(ask(XS.TRANSACTION_END, 'F\0', other)).toBe('OK\0');
    expect(ask(XS.READ, 'data/u\0')).toBe('!ENOENT');
  });

  it('must be under way, within ten', () => {
    const { ask } = guest();
    expect([ask(XS.READ, 'domid\0', 99), ask(XS.TRANSACTION_END, 'T\0', 0)]).toEqual([
      '!ENOENT',
      '!ENOENT',
    ]);
    for (let n = 0; n < 10; n++) start(ask);
    expect(ask(XS.TRANSACTION_START, '\0')).toBe('!ENOSPC');
    expect(ask(XS.TRANSACTION_END, 'X\0', 1)).toBe('!EINVAL');
  });
});

describe('a guest that breaks the protocol', () => {
  it('with a message that is too long is heard no more', () => {
    const { message, ram, at, domain, read } = guest();
    message(XS.READ, 'domid\0', 0, 4097);
    expect(ram.u32(at('error'))).toBe(3);
    message(XS.READ, 'domid\0');
    expect([read(), domain.state.log.length]).toEqual([[], 1]);
  });

  it('with indexes that make no sense loses what was between them', () => {
    const { ask, ram, at, notify } = guest();
    ram.setU32(at('req_prod'), 0x8000_0000);
    notify();
    expect(ask(XS.READ, 'domid\0')).toBe('1');
  });
});
