// Reads a short answer as text, and no more of it than is asked for.

/** The first `bytesMax` bytes of an answer, decoded; the rest is let go. */
export async function textWithin({ body }: Response, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let left = bytesMax;
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes.subarray(0, left), { stream: true });
    left -= bytes.byteLength;
    if (left <= 0) break;
  }
  return text + decoder.decode();
}
