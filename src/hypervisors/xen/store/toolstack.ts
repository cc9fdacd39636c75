// What a toolstack writes into xenstore before it starts a domain: the part of xl's tree that guests read.

import type { Platform } from '../../define.ts';
import { OUR_DOMID } from '../domain.ts';
import type { Store } from './store.ts';
import type { Permission } from './tree.ts';

const UUID = '5f0e0a57-7076-4f70-8000-000000000001';
/** The guest reads these, and owns those (libxl_create.c, libxl__domain_make). */
const READS: readonly Permission[] = [
  { who: 0, may: 'n' },
  { who: OUR_DOMID, may: 'r' },
];
const OWNS: readonly Permission[] = [{ who: OUR_DOMID, may: 'n' }];
const OWNED = [
  'control/shutdown',
  'control/feature-poweroff',
  'control/feature-reboot',
  'control/feature-suspend',
  'control/feature-s3',
  'control/feature-s4',
  'control/sysrq',
  'device/suspend/event-channel',
  'data',
  'drivers',
  'feature',
  'attr',
  'error',
];

export const DOMAIN_PATH = `/local/domain/${OUR_DOMID}`;

export interface StoreFacts {
  readonly consolePort: number;
  readonly consoleFrame: number;
  readonly storePort: number;
  readonly storeFrame: number;
  /** KiB that the guest is to keep of its memory; empty: all. */
  readonly target?: string;
}

/** What the guest was last asked to keep of its memory, in KiB; empty if there is no domain yet. */
export const memoryTarget = (store: Store): string => store.read(`${DOMAIN_PATH}/memory/target`);

export function writeDomain(store: Store, platform: Platform, facts: StoreFacts): void {
  const vm = `/vm/${UUID}`;
  const kibibytes = String(platform.memoryBytes / 1024);
  const put = (path: string, value: string) => store.write(`${DOMAIN_PATH}/${path}`, value, READS);
  store.write(vm, '', READS);
  store.write(`${vm}/uuid`, UUID, READS);
  store.write(`${vm}/name`, 'pvops', READS);
  store.write(DOMAIN_PATH, '', READS);
  put('vm', vm);
  put('name', 'pvops');
  put('domid', String(OUR_DOMID));
  put('cpu', '');
  put('cpu/0', '');
  put('cpu/0/availability', 'online');
  put('memory', '');
  put('memory/static-max', kibibytes);
  put('memory/target', facts.target || kibibytes);
  put('memory/videoram', '0');
  put('device', '');
  put('control', '');
  put('control/platform-feature-multiprocessor-suspend', '1');
  put('control/platform-feature-xs_reset_watches', '1');
  put('store', '');
  put('store/port', String(facts.storePort));
  put('store/ring-ref', String(facts.storeFrame));
  put('console', '');
  put('console/backend', `/local/domain/0/backend/console/${OUR_DOMID}/0`);
  put('console/backend-id', '0');
  put('console/limit', '1048576');
  put('console/type', 'xenconsoled');
  put('console/output', 'pty');
  put('console/port', String(facts.consolePort));
  put('console/ring-ref', String(facts.consoleFrame));
  for (const path of OWNED) store.write(`${DOMAIN_PATH}/${path}`, '', OWNS);
  store.settle();
}
