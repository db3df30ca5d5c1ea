"""Host tools: derive keys, rehearse the cloud and the board, keep the factory's books."""
