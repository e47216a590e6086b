// Waiting with a limit.

/** What `promise` gives, or `late` when that takes longer than `limitMs`. Rejects as it does. */
export async function withinMs<T>(promise: Promise<T>, limitMs: number): Promise<T | 'late'> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
