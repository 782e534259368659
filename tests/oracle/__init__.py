"""The estimator held against the engine itself: real llama-fit-params on headers with nothing behind them."""
