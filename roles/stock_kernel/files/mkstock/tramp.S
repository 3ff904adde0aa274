/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The trampoline: real mode -> protected mode -> long mode -> instance. It is copied to one page below 1 MiB, where a STARTUP
 * IPI sends the CPU. The instance finds the state that the RFC's own trampoline leaves: CS 0x10, data segments 0x18,
 * CR0 0x80000011, CR4 0x20, EFER 0x500, no interrupt table, RSI = R15 = boot_params of the host, R14 = entry.
 */
	.section .rodata
	.balign	16
	.globl	mk_trampoline, mk_trampoline_words, mk_trampoline_end
#define AT(label) ((label) - mk_trampoline)

	.code16
mk_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx			/* EBX = where this page lies */
	leal	AT(gdt)(%ebx), %eax
	movl	%eax, AT(gdt_pointer) + 2
	leal	AT(protected_mode)(%ebx), %eax
	movl	%eax, AT(to_protected_mode)
	leal	AT(long_mode)(%ebx), %eax
	movl	%eax, AT(to_long_mode)
	lidtl	AT(no_idt)			/* any exception from here on is a triple fault */
	lgdtl	AT(gdt_pointer)
	movl	$0x11, %eax			/* PE, ET; as a whole, because INIT may leave the caches off */
	movl	%eax, %cr0
	ljmpl	*AT(to_protected_mode)

	.code32
protected_mode:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	AT(word_cr3)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER */
	xorl	%edx, %edx
	movl	$0x100, %eax			/* LME */
	wrmsr
	movl	$0x80000011, %eax		/* PG, PE, ET */
	movl	%eax, %cr0
	ljmpl	*AT(to_long_mode)(%ebx)

	.code64
long_mode:
	movl	%ebx, %ebx
	leaq	0x1000(%rbx), %rsp
	movq	AT(word_boot_params)(%rbx), %rsi
	movq	%rsi, %r15
	movq	AT(word_entry)(%rbx), %r14
	movl	$1, AT(word_arrived)(%rbx)	/* from here on the page may be used for the next CPU */
	jmp	*%r14

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff		/* 0x08: 32-bit code */
	.quad	0x00af9a000000ffff		/* 0x10: 64-bit code */
	.quad	0x00cf92000000ffff		/* 0x18: data */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	0
no_idt:
	.word	0
	.long	0
	.balign	4
to_protected_mode:
	.long	0
	.word	0x08
	.balign	4
to_long_mode:
	.long	0
	.word	0x10
	.balign	8
mk_trampoline_words:				/* struct words in start.c */
word_entry:
	.quad	0
word_boot_params:
	.quad	0
word_cr3:
	.long	0
word_arrived:
	.long	0
mk_trampoline_end:
	.code64
	.section .note.GNU-stack, "", @progbits
