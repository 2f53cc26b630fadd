// From the Python tables, by `python scripts/write_docs.py`; `make test` fails while it is out of date.
export type Choice = "q" | "sort" | "dir" | "min" | "show" | "assets" | "list";
export const CHAINS = [1, 10, 137, 8453, 42161];
export const FUNDING_ACCENT_PCT = 0.03;
export const AGE_ALLOWANCES: [string, number, number, number][] = [["p", 0, 5.0, 5.0], ["f", 0, 10.0, 10.0], ["r", 1000000.0, 10.0, 360.0], ["o", 4000000.0, 90.0, 600.0]];
export const SCALES: Record<string, number> = {"K": 1000.0, "M": 1000000.0, "B": 1000000000.0, "T": 1000000000000.0};
export const SEARCH_LENGTH = 40;
export const MULTIPLE = "(?:(10{3,})([^0-9].*)|(.*[^0-9])(10{3,})|1M([A-Z]{3,}))";
export const VIEW: Record<Choice, string> = {"q": "", "sort": "volume", "dir": "desc", "min": "", "show": "all", "assets": "crypto", "list": ""};
export const CHOICES: Partial<Record<Choice, string[]>> = {"sort": ["symbol", "price", "change", "volume", "ratio", "funding", "oi", "oi1h"], "dir": ["asc", "desc"], "show": ["all", "gainers", "losers", "spiking"], "assets": ["crypto", "tradfi"]};
export const ASSET_MARKS: Record<string, string> = {"s": "Stock", "m": "Commodity", "f": "Currency", "o": "Other"};
export const CLOSED_MARK = ", closed";
export const SIGNAL_FILTERS = ["kind", "direction", "severity", "quadrant", "contract", "list", "since", "from", "to"];
