// Rings that guest and host share: console, xenstore.

import { xenStruct } from './layout.ts';

/** xen/include/public/io/console.h */
export const xenconsInterface = xenStruct(
  'struct xencons_interface',
  {
    in: 'u8[1024]',
    out: 'u8[2048]',
    in_cons: 'u32',
    in_prod: 'u32',
    out_cons: 'u32',
    out_prod: 'u32',
  },
  { header: 'io/console.h', size: [3088, 3088] },
);

/** xen/include/public/io/xs_wire.h */
export const xenstoreDomainInterface = xenStruct(
  'struct xenstore_domain_interface',
  {
    req: 'u8[1024]',
    rsp: 'u8[1024]',
    req_cons: 'u32',
    req_prod: 'u32',
    rsp_cons: 'u32',
    rsp_prod: 'u32',
    server_features: 'u32',
    connection: 'u32',
    error: 'u32',
  },
  { header: 'io/xs_wire.h', size: [2076, 2076] },
);
export const xsdSockmsg = xenStruct(
  'struct xsd_sockmsg',
  { type: 'u32', req_id: 'u32', tx_id: 'u32', len: 'u32' },
  { header: 'io/xs_wire.h', size: [16, 16] },
);
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
