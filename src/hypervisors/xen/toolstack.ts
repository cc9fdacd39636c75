// What a toolstack gives a domain when it begins, and anew when it is resumed: console, store, the store's tree, devices.

import { consoleRing } from './console-ring.ts';
import { connectRequests } from './control.ts';
import { createDevices } from './devices/devices.ts';
import type { XenDomain } from './domain.ts';
import { seedGrants } from './grants.ts';
import { storeRing } from './store/server.ts';
import { Store } from './store/store.ts';
import { memoryTarget, writeDomain } from './store/toolstack.ts';

/** RAM addresses of the pages of the two rings. */
export interface RingPages {
  readonly store: number;
  readonly console: number;
}

export interface RingPorts {
  readonly storePort: number;
  readonly consolePort: number;
}

export interface Toolstack {
  /** Back ends let go of what the guest has given them. */
  end(): void;
  /** For a domain without open ports. */
  begin(pages: RingPages): RingPorts;
}

export function createToolstack(domain: XenDomain): Toolstack {
  const { platform, guest } = domain;
  const store = new Store(platform.snapshots);
  const storeEnd = storeRing(domain, store);
  const consoleEnd = consoleRing(domain);
  const devices = createDevices(domain, store);
  connectRequests(domain, store);
  return {
    end() {
      for (const { withdraw } of devices) withdraw();
    },
    begin(pages) {
      const target = memoryTarget(store);
      seedGrants(domain, pages);
      const storePort = storeEnd.open(pages.store);
      const consolePort = consoleEnd.open(pages.console);
      store.clear();
      writeDomain(store, platform, {
        storePort,
        consolePort,
        storeFrame: guest.frameNumber(pages.store),
        consoleFrame: guest.frameNumber(pages.console),
        target,
      });
      for (const { offer } of devices) offer();
      return { storePort, consolePort };
    },
  };
}
