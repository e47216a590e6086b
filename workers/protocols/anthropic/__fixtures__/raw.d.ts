// Streams are read as text by the tests.

declare module '*.sse?raw' {
  const text: string;
  export default text;
}
