import { useEffect, useRef } from "react";

/** Calls `read` whenever `count` is another than at the last call; what was read first goes with the first `count`. */
export function useReadOnGrowth(read: () => void, count: number): void {
  const countRead = useRef(count);
  useEffect(() => {
    if (countRead.current === count) return;
    countRead.current = count;
    read();
  }, [count, read]);
}
