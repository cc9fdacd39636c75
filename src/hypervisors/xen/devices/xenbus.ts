// The handshake of a split device through xenstore: two directories, two states, and what a back end does at each.

import { OUR_DOMID, type XenDomain } from '../domain.ts';
import type { Store } from '../store/store.ts';
import { DOMAIN_PATH } from '../store/toolstack.ts';
import type { Permission } from '../store/tree.ts';

/** xen/include/public/io/xenbus.h */
export const XenbusState = {
  Unknown: 0,
  Initialising: 1,
  InitWait: 2,
  Initialised: 3,
  Connected: 4,
  Closing: 5,
  Closed: 6,
} as const;

export interface BackendParts {
  /** `vbd` or `vif`. */
  readonly type: string;
  readonly id: number;
  /** Written before the guest sees the device. */
  readonly backend: Readonly<Record<string, string>>;
  readonly frontend: Readonly<Record<string, string>>;
  /** The front end has filled its directory: true, and the device is connected; false: it was not to be. */
  connect(front: (name: string) => string): boolean;
  /** Written between the connection and its announcement. */
  connected(): Readonly<Record<string, string>>;
  disconnect(): void;
}

/** The guest may read the back end's directory and owns its own; the back end reads that (docs/misc/xenstore-paths). */
const BACK_PERMS: readonly Permission[] = [
  { who: 0, may: 'n' },
  { who: OUR_DOMID, may: 'r' },
];
const FRONT_PERMS: readonly Permission[] = [
  { who: OUR_DOMID, may: 'n' },
  { who: 0, may: 'r' },
];

export interface Backend {
  /** Puts the device into the store, for a front end that has not been there yet. */
  offer(): void;
  /** The front end's domain is gone. */
  withdraw(): void;
}

/** A device whose front end is followed from the time that it is offered. */
export function createBackend(domain: XenDomain, store: Store, parts: BackendParts): Backend {
  const { type, id } = parts;
  const back = `/local/domain/0/backend/${type}/${domain.id}/${id}`;
  const front = `${DOMAIN_PATH}/device/${type}/${id}`;
  const put = (name: string, value: string) => store.write(`${back}/${name}`, value, BACK_PERMS);
  const setState = (state: number) => put('state', String(state));
  const stateOf = (path: string) => Number(store.read(`${path}/state`));
  store.watch(`${front}/state`, () => {
    switch (stateOf(front)) {
      case XenbusState.Initialising:
        // A driver that starts, or starts again.
        if (stateOf(back) === XenbusState.InitWait) return;
        parts.disconnect();
        setState(XenbusState.InitWait);
        return;
      case XenbusState.Initialised:
      case XenbusState.Connected:
        if (stateOf(back) === XenbusState.Connected) return;
        if (!parts.connect((name) => store.read(`${front}/${name}`))) {
          store.write(
            `${DOMAIN_PATH}/error/device/${type}/${id}/error`,
            'the front end gave no usable ring',
          );
          return;
        }
        for (const [name, value] of Object.entries(parts.connected())) put(name, value);
        setState(XenbusState.Connected);
        return;
      case XenbusState.Closing:
        parts.disconnect();
        setState(XenbusState.Closing);
        return;
      case XenbusState.Closed:
      case XenbusState.Unknown:
        parts.disconnect();
        setState(XenbusState.Closed);
        return;
    }
  });
  return {
    withdraw: () => parts.disconnect(),
    offer() {
      store.write(back, '', BACK_PERMS);
      put('frontend', front);
      put('frontend-id', String(domain.id));
      put('online', '1');
      for (const [name, value] of Object.entries(parts.backend)) put(name, value);
      setState(XenbusState.InitWait);
      const give = (name: string, value: string) =>
        store.write(`${front}/${name}`, value, FRONT_PERMS);
      store.write(front, '', FRONT_PERMS);
      give('backend', back);
      give('backend-id', '0');
      for (const [name, value] of Object.entries(parts.frontend)) give(name, value);
      give('state', String(XenbusState.Initialising));
      store.settle();
    },
  };
}
