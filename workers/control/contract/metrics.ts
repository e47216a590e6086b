// Figures for a monitoring system.

import { endpoint } from './endpoint';

export const metrics = {
  read: endpoint({
    name: 'metrics.read',
    method: 'GET',
    path: '/metrics',
    access: { by: 'secret', secret: 'metrics' },
    summary: 'Tells how the relay is, in the text format of Prometheus; of no single user.',
    produces: ['text/plain'],
  }),
} as const;
