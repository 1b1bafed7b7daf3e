/** The gold coin beside the balance. */
export function CoinIcon({ size = 40 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 40 40" aria-hidden="true" focusable="false">
      <ellipse cx="20" cy="22.6" rx="17" ry="16.2" fill="var(--gold-deep)" />
      <circle cx="20" cy="19" r="17" fill="var(--gold)" />
      <circle cx="20" cy="19" r="12.6" fill="none" stroke="var(--gold-deep)" strokeWidth="1.6" opacity="0.75" />
      <path
        d="M24.4 15.2c-.5-1.7-2.2-2.7-4.4-2.7-2.6 0-4.4 1.3-4.4 3.3 0 4.6 9 2 9 6.4 0 2-1.9 3.3-4.6 3.3-2.4 0-4.2-1.1-4.6-2.900M20 10.400v2.100M20 25.500v2.1"
        fill="none"
        stroke="#6b4300"
        strokeWidth="2"
        strokeLinecap="round"
      />
      <path d="M8 12.500A13.8 13.8 0 0 1 15 6.4" fill="none" stroke="#fff" strokeWidth="2" strokeLinecap="round" opacity="0.6" />
    </svg>
  );
}
