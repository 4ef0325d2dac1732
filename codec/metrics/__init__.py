"""How far a picture is from another one: PSNR, MS-SSIM, SSIMULACRA2."""
